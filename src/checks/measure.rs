//! Figures for rules from what was read: partitions, indexes, the health of a server.

use std::sync::Arc;

use super::advise::{self, Verdict};
use super::judge::{Labels, Measured, Reading};
use super::reason::Reason;
use crate::catalog::Strategy;
use crate::changes::indexes::{IndexState, State};
use crate::changes::survey::TableSurvey;
use crate::ident::QualifiedName;
use crate::sample::health::{Archive, Health};

/// Makes labels.
pub fn labels(list: &[(&str, &str)]) -> Labels {
    let all = list.iter();
    all.map(|(name, value)| ((*name).to_owned(), Arc::from(*value)))
        .collect()
}

fn one(
    metric: &'static str,
    labels: &Arc<Labels>,
    reading: Reading,
    basis: impl Into<Arc<str>>,
) -> Measured {
    Measured {
        metric,
        labels: Arc::clone(labels),
        reading,
        basis: basis.into(),
        resolution: None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are compared with thresholds, not added up"
)]
fn value(number: i64) -> Reading {
    Reading::Value(number as f64)
}

fn counted(number: usize) -> Reading {
    value(i64::try_from(number).unwrap_or(i64::MAX))
}

fn names(all: &[QualifiedName]) -> String {
    let names: Vec<String> = all.iter().take(5).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(names.len());
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// Figures of the tables that have a policy; `past` are the partitions past `retain` of each, as
/// [`past`](crate::changes::retention::past) gives them.
pub fn partitions(
    target: &str,
    database: &str,
    tables: &[TableSurvey],
    past: &[(QualifiedName, Result<Vec<QualifiedName>, String>)],
) -> Vec<Measured> {
    let mut found = Vec::new();
    for table in tables.iter().filter(|table| table.policy.is_some()) {
        let name = table.table.to_string();
        let labels = Arc::new(labels(&[
            ("target", target),
            ("database", database),
            ("table", &name),
        ]));
        let mut push = |metric, reading, basis: String| {
            found.push(one(metric, &labels, reading, basis));
        };
        if let Some(why) = &table.unreadable {
            for metric in ["partition.runway", "partition.gaps"] {
                push(
                    metric,
                    Reading::unknown(Reason::NoSample, why.clone()),
                    String::new(),
                );
            }
        } else if table.strategy == Strategy::Range {
            match &table.runway {
                Some(runway) => push(
                    "partition.runway",
                    runway.seconds.map_or(Reading::Value(f64::INFINITY), value),
                    match &runway.until {
                        Some(until) if runway.falls_into_default => {
                            format!("rows from {until} on fall into DEFAULT")
                        }
                        Some(until) => format!("no partition takes {until}"),
                        None => "partitions without end".to_owned(),
                    },
                ),
                None => push(
                    "partition.runway",
                    Reading::unknown(Reason::NoSample, "its key has no notion of now"),
                    String::new(),
                ),
            }
            let gaps: Vec<String> = table
                .gaps
                .iter()
                .take(3)
                .map(|gap| format!("{} to {}", gap.from, gap.to))
                .collect();
            push(
                "partition.gaps",
                counted(table.gaps.len()),
                if gaps.is_empty() {
                    format!("{} partitions", table.partitions.len())
                } else {
                    gaps.join(", ")
                },
            );
        }
        if let Some(rows) = &table.default_rows {
            push(
                "partition.default_rows",
                rows.count.map_or_else(
                    || Reading::unknown(Reason::NoSample, "the count did not end in its time"),
                    value,
                ),
                rows.min
                    .as_ref()
                    .map_or_else(|| "counted".to_owned(), |min| format!("from {min} on")),
            );
        }
        push(
            "partition.detach_pending",
            counted(table.pending.len()),
            names(&table.pending),
        );
        match past.iter().find(|(name, _)| *name == table.table) {
            Some((_, Ok(past))) => push("partition.expired", counted(past.len()), names(past)),
            Some((_, Err(why))) => push(
                "partition.expired",
                Reading::unknown(Reason::NoSample, why.clone()),
                String::new(),
            ),
            None => {}
        }
    }
    found
}

/// Figures of indexes: each declared one, and those that nobody wants as they are.
pub fn indexes(target: &str, database: &str, all: &[IndexState]) -> Vec<Measured> {
    let here = Arc::new(labels(&[("target", target), ("database", database)]));
    let mut found = Vec::new();
    let mut invalid = Vec::new();
    let mut drifted = Vec::new();
    for index in all {
        let dead = matches!(
            index.state,
            State::Dead | State::HalfDropped | State::Leftover
        );
        if dead {
            invalid.push(index.name.clone());
        }
        if index.origin.is_none() {
            continue;
        }
        let as_said = matches!(
            index.state,
            State::Converged | State::Gone | State::Building
        );
        if !as_said && index.state != State::Unverified {
            drifted.push(index.name.clone());
        }
        let name = index.name.to_string();
        let table = index.table.as_ref().map(ToString::to_string);
        let mut labels = (*here).clone();
        labels.insert("index".to_owned(), name.as_str().into());
        if let Some(table) = table {
            labels.insert("table".to_owned(), table.into());
        }
        found.push(one(
            "index.state",
            &Arc::new(labels),
            Reading::State(index.state.name().into()),
            index.details.join("; "),
        ));
    }
    found.push(one(
        "index.invalid",
        &here,
        counted(invalid.len()),
        names(&invalid),
    ));
    found.push(one(
        "index.drift",
        &here,
        counted(drifted.len()),
        names(&drifted),
    ));
    found
}

/// How many indexes of a database nobody scans, as the advice on them says; of those that are not proven it is not known.
pub fn unused(target: &str, database: &str, found: &[advise::Finding]) -> Measured {
    let here = Arc::new(labels(&[("target", target), ("database", database)]));
    let of = |verdict| found.iter().filter(move |one| one.verdict == verdict);
    let proven: Vec<QualifiedName> = of(Verdict::Advice)
        .filter_map(|one| one.index.clone())
        .collect();
    let freed: i64 = of(Verdict::Advice).filter_map(|one| one.frees_bytes).sum();
    let mut basis = names(&proven);
    if !proven.is_empty() {
        basis = format!("{basis}: {} MiB; no node scans them", freed >> 20);
    }
    let open = of(Verdict::NotProven).count();
    let reading = match of(Verdict::NotProven).next() {
        None => counted(proven.len()),
        Some(first) => {
            let parts = [basis.as_str(), first.summary.as_str()];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            basis = parts.join("; ");
            if open > 1 {
                basis = format!("{basis}, and {} more", open - 1);
            }
            #[expect(clippy::cast_precision_loss, reason = "a number of indexes")]
            Reading::Between {
                low: proven.len() as f64,
                high: (proven.len() + open) as f64,
            }
        }
    };
    one("index.unused", &here, reading, basis)
}

/// Figures of a server's health; `node` are its labels.
pub fn health(target: &str, node: &Arc<Labels>, health: &Health) -> Vec<Measured> {
    let mut found = Vec::new();
    for database in &health.databases {
        let labels = Arc::new(labels(&[("target", target), ("database", &database.name)]));
        found.push(one(
            "xid.age",
            &labels,
            value(database.xid_age),
            "age(datfrozenxid)",
        ));
        found.push(one(
            "mxid.age",
            &labels,
            value(database.mxid_age),
            "mxid_age(datminmxid)",
        ));
        found.push(one(
            "database.size",
            &labels,
            database.bytes.map_or_else(
                || Reading::unknown(Reason::NoPrivilege, "the role may not connect to it"),
                value,
            ),
            "pg_database_size",
        ));
    }
    found.push(one(
        "wal.size",
        node,
        health.wal_bytes.map_or_else(
            || Reading::unknown(Reason::NoPrivilege, "the role may not list the WAL folder"),
            value,
        ),
        "pg_ls_waldir",
    ));
    if let Some(archive) = &health.archive {
        found.extend(archiving(node, archive));
    }
    found
}

/// A file that waits longer is not being archived.
const LONG_WAIT_S: f64 = 300.0;

fn archiving(labels: &Arc<Labels>, archive: &Archive) -> Vec<Measured> {
    let off = archive.mode == "off" || (archive.in_recovery && archive.mode != "always");
    let failed = match (archive.last_failed, archive.last_archived) {
        (Some(failed), Some(archived)) => failed > archived,
        (Some(_), None) => true,
        (None, _) => false,
    };
    // A command that is empty or hangs fails nothing and archives nothing.
    let stuck = archive
        .waiting
        .and_then(|waiting| waiting.oldest_seconds)
        .is_some_and(|seconds| seconds > LONG_WAIT_S);
    let state = if off {
        Reading::State("off".into())
    } else if failed || stuck {
        Reading::State("failing".into())
    } else if archive.last_archived.is_none() && archive.waiting.is_none() {
        Reading::unknown(
            Reason::NoPrivilege,
            "nothing was archived yet, and the role may not list what waits",
        )
    } else {
        Reading::State("working".into())
    };
    let basis = match (&archive.failed_file, failed, archive.last_archived) {
        (Some(file), true, _) => format!("{file} could not be archived"),
        _ if stuck && !off => "a file has waited for more than five minutes".to_owned(),
        (_, _, Some(at)) => format!("last archived {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
        _ => format!("archive_mode {}", archive.mode),
    };
    let age = match (off, &archive.waiting) {
        (true, _) => Reading::unknown(Reason::NotDeclared, "archive_mode is off here"),
        (_, None) => Reading::unknown(
            Reason::NoPrivilege,
            "the role may not list the files that wait",
        ),
        // Nothing waits: what was finished is archived.
        (_, Some(waiting)) => Reading::Value(waiting.oldest_seconds.unwrap_or(0.0).max(0.0)),
    };
    let waiting = archive.waiting.map_or(0, |waiting| waiting.files);
    vec![
        one("archive.state", labels, state, basis),
        one(
            "archive.oldest_unarchived_age",
            labels,
            age,
            format!("{waiting} files wait"),
        ),
    ]
}
