//! Settings of the server and the role that a run meets: time-outs, locks, connections, time zone.

use super::{Check, Facts};
use crate::ident::quote_ident;

/// Sessions that a run needs at once beside the one that reads: lock, writer, observer.
const SESSIONS_OF_A_RUN: i64 = 3;

/// Locks that one query over all partitions takes on each: the table and its primary key.
const LOCKS_EACH: i64 = 2;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    vec![
        deadlock_timeout(facts),
        locks(facts),
        pruning(facts),
        connections(facts),
        time_outs(facts),
        time_zone(facts),
    ]
}

fn deadlock_timeout(facts: Facts<'_>) -> Check {
    let id = "lock-budget";
    let deadlock = facts.catalog.server.deadlock_timeout_ms;
    let longest = facts
        .policies
        .iter()
        .filter_map(|policy| policy.lock_budget)
        .chain([facts.budget])
        .map(|budget| i64::try_from(budget.max_block.0).unwrap_or(i64::MAX))
        .max()
        .unwrap_or_default();
    if longest < deadlock {
        Check::ok(
            id,
            format!("max_block of {longest} ms is below deadlock_timeout of {deadlock} ms"),
        )
    } else {
        Check::warning(
            id,
            format!("max_block of {longest} ms is not below deadlock_timeout of {deadlock} ms"),
        )
        .why("a wait that reaches deadlock_timeout makes the server look for deadlocks and cancel autovacuum; others would be cancelled before dbops gives way")
        .fix(format!("lock_budget: {{ max_block: {}ms }}  # in the plan file", (deadlock / 2).max(1)))
    }
}

fn locks(facts: Facts<'_>) -> Check {
    let id = "lock-table";
    let per_transaction = facts.catalog.server.max_locks_per_transaction;
    let room = per_transaction.saturating_mul(
        facts
            .readiness
            .max_connections
            .saturating_add(facts.readiness.max_prepared_transactions),
    );
    let largest = facts
        .catalog
        .tables
        .iter()
        .max_by_key(|table| table.partitions.len());
    let Some(table) = largest else {
        return Check::ok(id, format!("room for about {room} locks"));
    };
    let partitions = i64::try_from(table.partitions.len()).unwrap_or(i64::MAX);
    let needed = partitions.saturating_mul(LOCKS_EACH);
    let found = format!(
        "{} has {partitions} partitions; a query over all of them takes {needed} locks or more of about {room}",
        table.name
    );
    if needed.saturating_mul(4) <= room {
        return Check::ok(id, found);
    }
    let wanted = needed
        .saturating_mul(8)
        .checked_div(facts.readiness.max_connections.max(1))
        .unwrap_or(per_transaction)
        .max(per_transaction.saturating_mul(2));
    Check::warning(id, found)
        .why("a few such queries at once end with `out of shared memory`; so may a detach")
        .fix(format!(
            "alter system set max_locks_per_transaction = {wanted};  -- then restart, standbys first"
        ))
}

fn pruning(facts: Facts<'_>) -> Check {
    let id = "partition-pruning";
    let role = &facts.catalog.server.role;
    match facts.readiness.partition_pruning {
        Some(true) => Check::ok(id, "enable_partition_pruning is on"),
        Some(false) => Check::warning(
            id,
            format!("enable_partition_pruning is off for role {role}"),
        )
        .why("every query of such a session reads every partition")
        .fix("alter system reset enable_partition_pruning; select pg_reload_conf();")
        .fix(format!(
            "alter role {} reset enable_partition_pruning;  -- where it was set for the role",
            quote_ident(role)
        )),
        None => Check::unknown(id, "the server does not show enable_partition_pruning")
            .why("without it every query reads every partition"),
    }
}

fn connections(facts: Facts<'_>) -> Check {
    let id = "connections";
    let Some(backends) = facts.readiness.backends else {
        return Check::unknown(id, "the server does not show how many sessions it has")
            .why("a run opens three sessions beside the one that reads");
    };
    let max = facts.readiness.max_connections;
    let reserved = if facts.catalog.server.superuser {
        0
    } else {
        facts.readiness.reserved_connections
    };
    let free = max - reserved - backends;
    let found = format!("{free} of {max} connections are free");
    if free >= SESSIONS_OF_A_RUN {
        return Check::ok(id, found);
    }
    Check::problem(id, found)
        .why("a run opens three sessions beside the one that reads: its lock, its writer, its observer")
        .fix("select pid, usename, application_name, state, state_change from pg_stat_activity where backend_type = 'client backend' order by state_change;  -- who holds them")
        .fix("put a pooler in front of the applications, or raise max_connections and restart")
}

fn time_outs(facts: Facts<'_>) -> Check {
    let id = "time-outs";
    let one = |value: Option<i64>| match value {
        Some(0) => "off".to_owned(),
        Some(value) => format!("{value} ms"),
        None => "unknown".to_owned(),
    };
    Check::ok(
        id,
        format!(
            "lock_timeout of the role is {}, statement_timeout {}; dbops sets its own in every session",
            one(facts.readiness.lock_timeout_ms),
            one(facts.readiness.statement_timeout_ms)
        ),
    )
}

fn time_zone(facts: Facts<'_>) -> Check {
    let id = "time-zone";
    let zone = &facts.catalog.server.time_zone;
    let mut others: Vec<&str> = facts
        .policies
        .iter()
        .map(|policy| policy.time_zone.name())
        .filter(|name| name != zone && !(is_utc(name) && is_utc(zone)))
        .collect();
    others.sort_unstable();
    others.dedup();
    if others.is_empty() {
        return Check::ok(
            id,
            format!("sessions of the role are in {zone}, as the policies"),
        );
    }
    Check::ok(
        id,
        format!(
            "sessions of the role are in {zone}, policies in {}; dbops writes bounds with their offset",
            others.join(", ")
        ),
    )
    .why(
        "nothing to do for dbops; but date_trunc and bounds written by hand in other sessions follow \
         the session's zone and cut periods elsewhere than the partitions",
    )
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Zulu"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(zone))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::{Case, partition, policies};
    use crate::plan_file::Millis;

    #[test]
    fn the_budget_stays_below_the_deadlock_time_out() {
        let mut case = Case::healthy();
        assert_eq!(case.state("lock-budget"), State::Ok);
        case.budget.max_block = Millis(1_000);
        assert_eq!(case.state("lock-budget"), State::Warning);
    }

    #[test]
    fn a_table_of_very_many_partitions_is_named() {
        let mut case = Case::healthy();
        assert_eq!(case.state("lock-table"), State::Ok);
        case.catalog.tables[0].partitions = vec![partition("p", "DEFAULT"); 2_000];
        assert_eq!(case.state("lock-table"), State::Warning);
    }

    #[test]
    fn pruning_that_is_off_is_a_warning_and_unseen_is_unknown() {
        let mut case = Case::healthy();
        for (setting, state) in [
            (Some(true), State::Ok),
            (Some(false), State::Warning),
            (None, State::Unknown),
        ] {
            case.readiness.partition_pruning = setting;
            assert_eq!(case.state("partition-pruning"), state);
        }
    }

    #[test]
    fn a_run_needs_three_free_connections() {
        let mut case = Case::healthy();
        for (backends, state) in [
            (Some(94), State::Ok),
            (Some(95), State::Problem),
            (None, State::Unknown),
        ] {
            case.readiness.backends = backends;
            assert_eq!(case.state("connections"), state, "{backends:?}");
        }
        // Superusers may take the reserved ones.
        case.readiness.backends = Some(95);
        case.catalog.server.superuser = true;
        assert_eq!(case.state("connections"), State::Ok);
    }

    #[test]
    fn time_outs_of_the_role_do_not_matter() {
        let mut case = Case::healthy();
        case.readiness.lock_timeout_ms = Some(50);
        assert_eq!(case.state("time-outs"), State::Ok);
        assert!(case.of("time-outs")[0].found.contains("50 ms"));
    }

    #[test]
    fn another_time_zone_is_explained() {
        let mut case = Case::healthy();
        assert_eq!(case.of("time-zone")[0].why, "");
        case.catalog.server.time_zone = "Etc/UTC".to_owned();
        assert_eq!(case.of("time-zone")[0].why, "");
        case.policies = policies(
            "version: 1\npartitions:\n  - {table: public.events, every: month, time_zone: Europe/Madrid}\n",
        );
        let check = &case.of("time-zone")[0];
        assert!(check.found.contains("policies in Europe/Madrid"));
        assert!(check.why.contains("date_trunc"));
    }
}
