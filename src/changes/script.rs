//! The exact SQL of a step: used to show it and to run it, so that both are the same text.

use super::changeset::{Acquire, Lock, Step, Way};
use crate::ident::QualifiedName;

/// Below this a `lock_timeout` could expire before the server has even looked.
const SHORTEST_LOCK_TIMEOUT_MS: u64 = 5;

/// The statements of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Statements in order; sent as one message when `transaction`, so that no lock is held while the
    /// network is waited for.
    pub statements: Vec<String>,
    /// Whether the statements are one transaction.
    pub transaction: bool,
}

/// Returns the attempt of a way; `deadlock_timeout_ms` is the server's, which every wait stays below
/// so that dbops never makes the server cancel an autovacuum or look for deadlocks.
pub fn attempt(step: &Step, way: &Way, deadlock_timeout_ms: i64) -> Attempt {
    let mut settings = vec![
        "set local search_path = ''".to_owned(),
        "set local timezone = 'UTC'".to_owned(),
        "set local datestyle = 'ISO, YMD'".to_owned(),
        format!(
            "set local lock_timeout = '{}ms'",
            lock_timeout_ms(step, way, deadlock_timeout_ms)
        ),
        format!(
            "set local statement_timeout = '{}ms'",
            step.budget.give_up_after.0
        ),
        format!(
            "set local idle_in_transaction_session_timeout = '{}ms'",
            (step.budget.max_block.0 * 2).max(1_000)
        ),
        "set local client_min_messages = 'warning'".to_owned(),
    ];
    // A transaction has its settings to itself.
    settings.extend(way.settings.iter().map(|setting| {
        let rest = setting.trim_start();
        match rest.get(..4) {
            Some(set) if set.eq_ignore_ascii_case("set ") => format!("set local {}", &rest[4..]),
            _ => setting.clone(),
        }
    }));
    match way.acquire {
        Acquire::NoWait | Acquire::ShortWait => {
            let nowait = if way.acquire == Acquire::NoWait {
                " nowait"
            } else {
                ""
            };
            let mut statements = vec!["begin".to_owned()];
            statements.append(&mut settings);
            let mut locks: Vec<&Lock> = step.locks.iter().filter(|lock| lock.explicit).collect();
            if way.acquire == Acquire::NoWait {
                // Without waiting nothing can deadlock, so the strongest come last, the parent at the very
                // end: an ACCESS EXCLUSIVE lock goes to the standbys the moment it is granted, and would stop
                // their readers on every attempt that fails at a later lock.
                locks.reverse();
                locks.sort_by_key(|lock| lock.mode);
            }
            statements.extend(locks.into_iter().map(|lock| lock_sql(lock, nowait)));
            statements.extend(way.statements.iter().cloned());
            statements.push("commit".to_owned());
            Attempt {
                statements,
                transaction: true,
            }
        }
        Acquire::Concurrent => Attempt {
            statements: way.statements.clone(),
            transaction: false,
        },
    }
}

/// Returns the transaction of one preparing statement.
pub fn prepare(step: &Step, statements: &[String], deadlock_timeout_ms: i64) -> Attempt {
    let lock_timeout = short_wait_ms(step.budget.max_block.0, deadlock_timeout_ms);
    let mut all = vec![
        "begin".to_owned(),
        "set local search_path = ''".to_owned(),
        "set local timezone = 'UTC'".to_owned(),
        "set local datestyle = 'ISO, YMD'".to_owned(),
        format!("set local lock_timeout = '{lock_timeout}ms'"),
    ];
    all.extend(statements.iter().cloned());
    all.push("commit".to_owned());
    Attempt {
        statements: all,
        transaction: true,
    }
}

/// Returns the transaction that finds out whether a concurrent statement would get the table's lock at
/// once: it queues nobody, and its own lock is gone with its end.
pub fn probe(table: &QualifiedName) -> Attempt {
    Attempt {
        statements: vec![
            "begin".to_owned(),
            format!(
                "lock table only {} in share update exclusive mode nowait",
                table.sql()
            ),
            "commit".to_owned(),
        ],
        transaction: true,
    }
}

/// Returns the longest time in milliseconds that a wait for a table's lock may take.
pub fn short_wait_ms(max_block_ms: u64, deadlock_timeout_ms: i64) -> u64 {
    max_block_ms
        .min(below(deadlock_timeout_ms))
        .max(SHORTEST_LOCK_TIMEOUT_MS)
}

/// Session settings around a concurrent statement: its waits are bounded by a client-side clock, because
/// `lock_timeout` and `statement_timeout` would also end its harmless wait for open transactions and
/// leave the detach pending.
pub const CONCURRENT_SESSION: &[&str] = &["set lock_timeout = 0", "set statement_timeout = 0"];

pub(super) fn lock_sql(lock: &Lock, nowait: &str) -> String {
    let only = if lock.only { "only " } else { "" };
    format!(
        "lock table {only}{} in {} mode{nowait}",
        lock.relation.sql(),
        lock.mode.sql().to_lowercase()
    )
}

/// All waits of one attempt together stay within the budget.
fn lock_timeout_ms(step: &Step, way: &Way, deadlock_timeout_ms: i64) -> u64 {
    let budget = step.budget.max_block.0.min(below(deadlock_timeout_ms));
    let waits = match way.acquire {
        Acquire::ShortWait => step.locks.len().max(1) as u64,
        Acquire::NoWait | Acquire::Concurrent => 1,
    };
    (budget / waits).max(SHORTEST_LOCK_TIMEOUT_MS)
}

fn below(deadlock_timeout_ms: i64) -> u64 {
    u64::try_from(deadlock_timeout_ms).unwrap_or(1_000) * 9 / 10
}
