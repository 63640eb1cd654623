//! A healthy server for the tests of the checks to break.

use chrono::DateTime;

use super::{Check, Facts, State};
use crate::catalog::readiness::Readiness;
use crate::catalog::{Catalog, Server};
use crate::changes::inputs::Inputs;
use crate::changes::survey::{TableSurvey, survey};
use crate::conn::PoolMode;
use crate::plan_file::{LockBudget, PartitionPolicy, Source, parse};
use crate::sample::statements::model::{Origin, Snapshot};
use crate::sample::statements::unavailable::Unavailable;

/// Owned facts; a test changes what it is about.
pub(super) struct Case {
    pub(super) policies: Vec<PartitionPolicy>,
    pub(super) budget: LockBudget,
    pub(super) catalog: Catalog,
    pub(super) readiness: Readiness,
    pub(super) surveys: Vec<TableSurvey>,
    pub(super) statements: Result<Snapshot, Unavailable>,
    pub(super) pooler: Option<PoolMode>,
}

pub(super) const MONTHLY: &str = "\
version: 1
partitions:
  - table: public.events
    every: month
";

impl Case {
    pub(super) fn healthy() -> Self {
        Self {
            policies: policies(MONTHLY),
            budget: LockBudget::default(),
            catalog: Catalog {
                server: Server {
                    version_num: 150_018,
                    version: "15.18".to_owned(),
                    database: "app".to_owned(),
                    role: "dba".to_owned(),
                    time_zone: "UTC".to_owned(),
                    deadlock_timeout_ms: 1_000,
                    max_locks_per_transaction: 64,
                    encoding: "UTF8".to_owned(),
                    ..Server::default()
                },
                tables: vec![events()],
                ..Catalog::default()
            },
            readiness: Readiness {
                creates_schemas: true,
                reads_all_stats: true,
                max_connections: 100,
                reserved_connections: 3,
                backends: Some(10),
                partition_pruning: Some(true),
                lock_timeout_ms: Some(0),
                statement_timeout_ms: Some(0),
                preloaded: Some(String::new()),
                partman_tables: Some(Vec::new()),
                ..Readiness::default()
            },
            surveys: Vec::new(),
            statements: Ok(counted()),
            pooler: None,
        }
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            policies: &self.policies,
            budget: self.budget,
            catalog: &self.catalog,
            surveys: &self.surveys,
            readiness: &self.readiness,
            statements: self.statements.as_ref(),
            pooler: self.pooler,
        }
    }

    /// Surveys the catalog, with these answers about DEFAULT partitions.
    pub(super) fn surveyed(mut self, answers: &crate::catalog::Answers) -> Self {
        let inputs = Inputs {
            policies: &self.policies,
            budget: self.budget,
            catalog: &self.catalog,
            now: DateTime::UNIX_EPOCH,
        };
        self.surveys = survey(inputs, answers);
        self
    }

    /// Runs every check and returns those of one id.
    pub(super) fn of(&self, id: &str) -> Vec<Check> {
        super::examine(self.facts())
            .into_iter()
            .filter(|check| check.id == id)
            .collect()
    }

    /// Runs every check and returns the state of the only one of an id.
    pub(super) fn state(&self, id: &str) -> State {
        let mut found = self.of(id);
        assert_eq!(found.len(), 1, "{found:?}");
        let check = found.remove(0);
        if check.state != State::Ok {
            assert!(!check.why.is_empty(), "{check:?} does not say why");
        }
        if matches!(check.state, State::Problem | State::Warning) {
            assert!(!check.fix.is_empty(), "{check:?} does not say what to do");
        }
        check.state
    }
}

/// A reading of a server that counts everything and has room.
fn counted() -> Snapshot {
    let settings = [
        ("pg_stat_statements.max", "5000"),
        ("pg_stat_statements.track", "top"),
        ("pg_stat_statements.track_planning", "on"),
        ("compute_query_id", "auto"),
        ("track_io_timing", "on"),
    ];
    Snapshot {
        origin: Origin {
            version_num: 150_018,
            extension: "1.10".to_owned(),
            role: "dba".to_owned(),
            settings: settings
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            dealloc: Some(0),
            entries: 120,
            ..Origin::default()
        },
        ..Snapshot::default()
    }
}

pub(super) fn policies(yaml: &str) -> Vec<PartitionPolicy> {
    let source = Source {
        path: "plan.yaml".into(),
        text: yaml.into(),
    };
    parse(&[source]).unwrap().plan.partitions
}

/// A partitioned table that the role owns, with one partition.
pub(super) fn events() -> crate::catalog::PartitionedTable {
    use crate::catalog::*;
    use crate::ident::QualifiedName;
    PartitionedTable {
        oid: 100,
        name: QualifiedName::new("public", "events"),
        owner: "dba".to_owned(),
        parent: None,
        strategy: Strategy::Range,
        key: vec![KeyColumn {
            column: Some("at".to_owned()),
            expression: None,
            type_name: "timestamp with time zone".to_owned(),
        }],
        partitions: vec![partition(
            "events_2026_01",
            "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
        )],
        columns: Vec::new(),
        uniques: Vec::new(),
        foreign_keys_out: Vec::new(),
        foreign_keys_in: Vec::new(),
        properties: Properties::default(),
        rights: Rights {
            owns: true,
            creates_in: vec!["public".to_owned()],
        },
    }
}

pub(super) fn partition(name: &str, bound: &str) -> crate::catalog::Partition {
    crate::catalog::Partition {
        oid: 101,
        name: crate::ident::QualifiedName::new("public", name),
        kind: crate::catalog::PartitionKind::Table,
        bound: bound.to_owned(),
        detach_pending: false,
        rows_estimate: Some(0),
        bytes: None,
        comment: None,
    }
}
