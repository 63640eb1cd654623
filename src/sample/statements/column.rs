//! The columns of `pg_stat_statements`, extension 1.4 to 1.12, as one list.
//!
//! Source: <https://www.postgresql.org/docs/18/pgstatstatements.html> and the extension's install scripts
//! (`contrib/pg_stat_statements/pg_stat_statements--1.*.sql`).

/// How a column behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Grows; the difference of two readings is what happened between them.
    Sum,
    /// The smallest so far.
    Min,
    /// The largest so far.
    Max,
    /// The mean so far.
    Mean,
    /// The population standard deviation so far.
    Deviation,
    /// An instant, as seconds since 1970-01-01 00:00 UTC.
    Instant,
}

/// Unit of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Blocks, of 8 KiB unless the server was built otherwise.
    Blocks,
    /// Bytes.
    Bytes,
    /// Seconds since the epoch.
    Epoch,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(| $older:literal)* , $nature:ident, $unit:ident;)*) => {
        /// A counter of `pg_stat_statements`, by its newest name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column {
            $($(#[$doc])* $variant,)*
        }

        impl Column {
            /// All of them, in the order in which [`Counters`](super::model::Counters) keeps them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name in the newest version of the extension.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Names in older versions of the extension, newest first.
            pub fn older_names(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($older,)*],)* }
            }

            /// How it behaves over time.
            pub fn nature(self) -> Nature {
                match self { $(Self::$variant => Nature::$nature,)* }
            }

            /// Its unit.
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }
        }
    };
}

columns! {
    /// Times the statement was executed.
    Calls = "calls", Sum, Count;
    /// Rows that it returned or affected.
    Rows = "rows", Sum, Count;
    /// Time in the executor.
    TotalExecTime = "total_exec_time" | "total_time", Sum, Milliseconds;
    /// Shortest execution.
    MinExecTime = "min_exec_time" | "min_time", Min, Milliseconds;
    /// Longest execution.
    MaxExecTime = "max_exec_time" | "max_time", Max, Milliseconds;
    /// Mean of the executions.
    MeanExecTime = "mean_exec_time" | "mean_time", Mean, Milliseconds;
    /// Population standard deviation of the executions.
    StddevExecTime = "stddev_exec_time" | "stddev_time", Deviation, Milliseconds;
    /// Times it was planned; 0 without `track_planning`.
    Plans = "plans", Sum, Count;
    /// Time in the planner; 0 without `track_planning`.
    TotalPlanTime = "total_plan_time", Sum, Milliseconds;
    /// Shortest planning.
    MinPlanTime = "min_plan_time", Min, Milliseconds;
    /// Longest planning.
    MaxPlanTime = "max_plan_time", Max, Milliseconds;
    /// Mean of the plannings.
    MeanPlanTime = "mean_plan_time", Mean, Milliseconds;
    /// Population standard deviation of the plannings.
    StddevPlanTime = "stddev_plan_time", Deviation, Milliseconds;
    /// Shared blocks found in the buffer cache.
    SharedBlksHit = "shared_blks_hit", Sum, Blocks;
    /// Shared blocks read.
    SharedBlksRead = "shared_blks_read", Sum, Blocks;
    /// Shared blocks dirtied.
    SharedBlksDirtied = "shared_blks_dirtied", Sum, Blocks;
    /// Shared blocks written.
    SharedBlksWritten = "shared_blks_written", Sum, Blocks;
    /// Blocks of temporary tables found in local buffers.
    LocalBlksHit = "local_blks_hit", Sum, Blocks;
    /// Blocks of temporary tables read.
    LocalBlksRead = "local_blks_read", Sum, Blocks;
    /// Blocks of temporary tables dirtied.
    LocalBlksDirtied = "local_blks_dirtied", Sum, Blocks;
    /// Blocks of temporary tables written.
    LocalBlksWritten = "local_blks_written", Sum, Blocks;
    /// Blocks of temporary files read.
    TempBlksRead = "temp_blks_read", Sum, Blocks;
    /// Blocks of temporary files written.
    TempBlksWritten = "temp_blks_written", Sum, Blocks;
    /// Time reading shared blocks; 0 without `track_io_timing`.
    SharedBlkReadTime = "shared_blk_read_time" | "blk_read_time", Sum, Milliseconds;
    /// Time writing shared blocks; 0 without `track_io_timing`.
    SharedBlkWriteTime = "shared_blk_write_time" | "blk_write_time", Sum, Milliseconds;
    /// Time reading local blocks, from 1.11.
    LocalBlkReadTime = "local_blk_read_time", Sum, Milliseconds;
    /// Time writing local blocks, from 1.11.
    LocalBlkWriteTime = "local_blk_write_time", Sum, Milliseconds;
    /// Time reading temporary files, from 1.10.
    TempBlkReadTime = "temp_blk_read_time", Sum, Milliseconds;
    /// Time writing temporary files, from 1.10.
    TempBlkWriteTime = "temp_blk_write_time", Sum, Milliseconds;
    /// WAL records.
    WalRecords = "wal_records", Sum, Count;
    /// Full page images in the WAL.
    WalFpi = "wal_fpi", Sum, Count;
    /// WAL written.
    WalBytes = "wal_bytes", Sum, Bytes;
    /// Times the WAL buffers were full, from 1.12.
    WalBuffersFull = "wal_buffers_full", Sum, Count;
    /// Functions compiled, from 1.10.
    JitFunctions = "jit_functions", Sum, Count;
    /// Time generating code, from 1.10.
    JitGenerationTime = "jit_generation_time", Sum, Milliseconds;
    /// Times functions were inlined, from 1.10.
    JitInliningCount = "jit_inlining_count", Sum, Count;
    /// Time inlining, from 1.10.
    JitInliningTime = "jit_inlining_time", Sum, Milliseconds;
    /// Times code was optimized, from 1.10.
    JitOptimizationCount = "jit_optimization_count", Sum, Count;
    /// Time optimizing, from 1.10.
    JitOptimizationTime = "jit_optimization_time", Sum, Milliseconds;
    /// Times code was emitted, from 1.10.
    JitEmissionCount = "jit_emission_count", Sum, Count;
    /// Time emitting code, from 1.10.
    JitEmissionTime = "jit_emission_time", Sum, Milliseconds;
    /// Times tuple deforming was compiled, from 1.11.
    JitDeformCount = "jit_deform_count", Sum, Count;
    /// Time compiling tuple deforming, from 1.11.
    JitDeformTime = "jit_deform_time", Sum, Milliseconds;
    /// Parallel workers planned, from 1.12.
    ParallelWorkersToLaunch = "parallel_workers_to_launch", Sum, Count;
    /// Parallel workers launched, from 1.12.
    ParallelWorkersLaunched = "parallel_workers_launched", Sum, Count;
    /// Since when the entry counts, from 1.11.
    StatsSince = "stats_since", Instant, Epoch;
    /// Since when its minima and maxima count, from 1.11.
    MinmaxStatsSince = "minmax_stats_since", Instant, Epoch;
}
