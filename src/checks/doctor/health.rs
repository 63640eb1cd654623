//! The partitioned tables themselves: statistics, DEFAULT rows, invalid indexes, interrupted detaches.

use super::{Check, Facts};
use crate::catalog::{Partition, PartitionedTable};

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    let mut found = analyzed(facts);
    found.extend(default_rows(facts));
    found.extend(invalid_indexes(facts));
    found.extend(pending(facts));
    found
}

/// Autovacuum analyzes partitions, never the table above them.
/// <https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-STATISTICS>
fn analyzed(facts: Facts<'_>) -> Vec<Check> {
    let id = "analyzed";
    let why = "autovacuum never analyzes a partitioned table, so the planner knows its partitions and not the whole: joins and groupings over it are misjudged";
    let (mut never, mut unseen) = (Vec::new(), Vec::new());
    // ANALYZE passes over a table without partitions.
    let filled = |table: &&PartitionedTable| !table.partitions.is_empty();
    for table in facts.catalog.tables.iter().filter(filled) {
        let parent = facts
            .readiness
            .parents
            .iter()
            .find(|parent| parent.oid == table.oid);
        match parent.and_then(|parent| parent.analyzed) {
            Some(true) => {}
            Some(false) => never.push(table),
            None => unseen.push(table),
        }
    }
    if never.is_empty() && unseen.is_empty() {
        return vec![Check::ok(
            id,
            "every partitioned table was analyzed as a whole",
        )];
    }
    let mut found = Vec::new();
    if !never.is_empty() {
        let names: Vec<String> = never.iter().map(|table| table.name.to_string()).collect();
        // From 18 on the partitions need not be read again with it.
        let only = if facts.catalog.server.version_num >= 180_000 {
            "only "
        } else {
            ""
        };
        let check = Check::warning(
            id,
            format!("never analyzed as a whole: {}", names.join(", ")),
        )
        .why(why);
        found.push(
            never
                .iter()
                .map(|table| format!("analyze {only}{};", table.name.sql()))
                .fold(check, Check::fix),
        );
    }
    if !unseen.is_empty() {
        let names: Vec<String> = unseen.iter().map(|table| table.name.to_string()).collect();
        found.push(
            Check::unknown(
                id,
                format!(
                    "this server does not record whether these were analyzed as a whole: {}",
                    names.join(", ")
                ),
            )
            .why(why),
        );
    }
    found
}

fn default_rows(facts: Facts<'_>) -> Vec<Check> {
    let id = "default-partitions";
    let why = "each row is in the way of the partition for its period: creating it scans DEFAULT under a lock and fails on such a row";
    let mut found = Vec::new();
    for survey in facts.surveys {
        let Some(rows) = survey
            .default_rows
            .as_ref()
            .filter(|rows| rows.count != Some(0))
        else {
            continue;
        };
        let default = facts
            .catalog
            .tables
            .iter()
            .find(|table| table.name == survey.table)
            .and_then(default_of)
            .map_or_else(|| survey.table.to_string(), |default| default.name.sql());
        let look = format!("select * from {default} limit 10;  -- whose rows are they?");
        let check = match rows.count {
            Some(held) => {
                let span = match (&rows.min, &rows.max) {
                    (Some(min), Some(max)) => format!(", keys {min} to {max}"),
                    _ => String::new(),
                };
                Check::warning(id, format!("{default} holds {held} rows{span}"))
            }
            None => Check::unknown(
                id,
                format!("the rows of {default} could not be counted in time"),
            ),
        };
        found.push(check.why(why).fix(look).fix(
            "move them: detach DEFAULT, create the partitions with `dbops partitions ensure`, insert the rows again, attach DEFAULT",
        ));
    }
    if found.is_empty() {
        let defaults = facts
            .surveys
            .iter()
            .filter(|survey| survey.default_rows.is_some())
            .count();
        found.push(Check::ok(
            id,
            match defaults {
                0 => "there are none".to_owned(),
                1 => "one, and it is empty".to_owned(),
                defaults => format!("{defaults}, all empty"),
            },
        ));
    }
    found
}

fn default_of(table: &PartitionedTable) -> Option<&Partition> {
    table.partitions.iter().find(|part| part.bound == "DEFAULT")
}

fn invalid_indexes(facts: Facts<'_>) -> Vec<Check> {
    let id = "invalid-indexes";
    let invalid = &facts.readiness.invalid_indexes;
    if invalid.is_empty() {
        return vec![Check::ok(
            id,
            "none on partitioned tables and their partitions",
        )];
    }
    invalid
        .iter()
        .map(|one| {
            let check = Check::warning(id, format!("{} of {} is invalid", one.index, one.table));
            if one.partitioned {
                check
                    .why("queries of the whole table cannot rely on it: not every partition has its part")
                    .fix(format!(
                        "create index concurrently … on each partition that lacks it, then: alter index {} attach partition …;",
                        one.index.sql()
                    ))
            } else {
                check
                    .why("queries do not use it and every write maintains it; an interrupted CREATE INDEX CONCURRENTLY leaves such an index")
                    .fix(format!("reindex index concurrently {};", one.index.sql()))
            }
        })
        .collect()
}

fn pending(facts: Facts<'_>) -> Vec<Check> {
    let id = "pending-detaches";
    let mut found = Vec::new();
    for table in &facts.catalog.tables {
        for part in table.partitions.iter().filter(|part| part.detach_pending) {
            found.push(
                Check::problem(id, format!("{} of {} is half detached", part.name, table.name))
                    .why("queries of the table no longer see its rows, inserts of its period fail, and no other partition can be detached concurrently")
                    .fix(format!(
                        "alter table {} detach partition {} finalize;  -- or: dbops partitions prune",
                        table.name.sql(),
                        part.name.sql()
                    )),
            );
        }
    }
    if found.is_empty() {
        found.push(Check::ok(id, "none"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::{Case, partition};
    use crate::catalog::readiness::{InvalidIndex, Parent};
    use crate::catalog::{Answers, DefaultRows};
    use crate::ident::QualifiedName;

    #[test]
    fn a_parent_that_was_never_analyzed_is_a_warning_and_unseen_is_unknown() {
        let mut case = Case::healthy();
        for (analyzed, state) in [
            (Some(true), State::Ok),
            (Some(false), State::Warning),
            (None, State::Unknown),
        ] {
            case.readiness.parents = vec![Parent {
                oid: 100,
                analyzed,
                analyzed_at: None,
            }];
            assert_eq!(case.state("analyzed"), state, "{analyzed:?}");
        }
        case.readiness.parents[0].analyzed = Some(false);
        case.catalog.server.version_num = 180_000;
        assert_eq!(
            case.of("analyzed")[0].fix,
            ["analyze only \"public\".\"events\";"]
        );
    }

    #[test]
    fn rows_in_default_are_a_warning_and_uncounted_ones_unknown() {
        let answers = |count| Answers {
            default_rows: vec![DefaultRows {
                table: QualifiedName::new("public", "events"),
                from: None,
                to: None,
                count,
                min: None,
                max: None,
            }],
            ..Answers::default()
        };
        let mut case = Case::healthy().surveyed(&Answers::default());
        assert_eq!(case.of("default-partitions")[0].found, "there are none");
        case.catalog.tables[0]
            .partitions
            .push(partition("events_default", "DEFAULT"));
        for (answers, state) in [
            (Answers::default(), State::Ok),
            (answers(Some(12)), State::Warning),
            (answers(None), State::Unknown),
        ] {
            case = case.surveyed(&answers);
            assert_eq!(case.state("default-partitions"), state);
        }
    }

    #[test]
    fn an_invalid_index_has_its_repair() {
        let mut case = Case::healthy();
        assert_eq!(case.state("invalid-indexes"), State::Ok);
        case.readiness.invalid_indexes = vec![InvalidIndex {
            index: QualifiedName::new("public", "broken"),
            table: QualifiedName::new("public", "events_2026_01"),
            partitioned: false,
        }];
        assert_eq!(case.state("invalid-indexes"), State::Warning);
        assert_eq!(
            case.of("invalid-indexes")[0].fix,
            ["reindex index concurrently \"public\".\"broken\";"]
        );
    }

    #[test]
    fn a_half_detached_partition_is_a_problem() {
        let mut case = Case::healthy();
        assert_eq!(case.state("pending-detaches"), State::Ok);
        case.catalog.tables[0].partitions[0].detach_pending = true;
        assert_eq!(case.state("pending-detaches"), State::Problem);
        assert!(case.of("pending-detaches")[0].fix[0].contains("finalize;"));
    }
}
