//! Tables whose updates rarely stay on their page (HOT), and what keeps them from it.

use super::shape::Shapes;
use super::{Finding, Inputs, Kind, Verdict, foreign_key};
use crate::catalog::index_model::{IndexedTable, LiveIndex};

/// Updates below this number tell nothing.
const MIN_UPDATES: i64 = 10_000;
/// A table with at least this share of HOT updates is left alone.
const GOOD_SHARE: f64 = 0.5;
/// A cause counts if it accounts for this share.
const CAUSE: f64 = 0.3;
/// So many updates that stayed on their page tell whether updates change indexed columns.
const ENOUGH: i64 = 1_000;

pub(super) fn find(inputs: Inputs<'_>, shapes: &Shapes) -> Vec<Finding> {
    inputs
        .catalog
        .tables
        .iter()
        .filter_map(|table| judge(inputs, shapes, table))
        .collect()
}

fn judge(inputs: Inputs<'_>, shapes: &Shapes, table: &IndexedTable) -> Option<Finding> {
    let writes = table.writes;
    if writes.updates < MIN_UPDATES {
        return None;
    }
    let share = writes.hot_updates as f64 / writes.updates as f64;
    let candidates: Vec<&LiveIndex> = table
        .indexes
        .iter()
        .filter(|index| blocks_hot(inputs, shapes, table, index))
        .collect();
    if share >= GOOD_SHARE {
        return None;
    }
    let facts = inputs
        .facts
        .tables
        .get(&table.oid)
        .copied()
        .unwrap_or_default();
    let fillfactor = facts.fillfactor.unwrap_or(100);
    let not_hot = (writes.updates - writes.hot_updates).max(1) as f64;
    let moved = facts.newpage_updates.map(|moved| moved as f64 / not_hot);
    // Of the rows that stayed on their page those that are not HOT have a change in an indexed column; of
    // those that moved nobody knows.
    let stayed = facts.newpage_updates.map(|moved| writes.updates - moved);
    let changed = stayed
        .filter(|&stayed| stayed >= ENOUGH)
        .map(|stayed| (stayed - writes.hot_updates).max(0) as f64 / stayed as f64);
    let for_columns = changed.is_none_or(|changed| changed >= CAUSE);
    let for_room = moved.is_none_or(|moved| moved >= CAUSE) && fillfactor > 90;
    let mut finding = Finding::new(
        Kind::HotUpdates,
        Verdict::Advice,
        &table.name,
        format!(
            "{:.0} % of {} updates of {} were HOT: each of the others wrote to every index",
            share * 100.0,
            writes.updates,
            table.name
        ),
    )
    .figure("updates", writes.updates as f64)
    .figure("hot_updates", writes.hot_updates as f64)
    .figure("fillfactor", f64::from(fillfactor));
    match (facts.newpage_updates, moved) {
        (Some(count), Some(moved)) => {
            finding = finding
                .because(format!(
                    "{:.0} % of the others found no room on their page",
                    moved * 100.0
                ))
                .because(match changed {
                    Some(changed) => format!(
                        "of those that stayed on their page {:.0} % changed an indexed column",
                        changed * 100.0
                    ),
                    None => {
                        "too few stayed on their page to tell whether they change indexed columns"
                            .to_owned()
                    }
                })
                .figure("newpage_updates", count as f64);
        }
        _ => {
            finding = finding.because(
                "this server does not tell updates that found no room on their page from those that changed an indexed column (16 does)",
            );
            finding.verdict = Verdict::NotProven;
        }
    }
    if for_columns {
        for index in &candidates {
            let scans = index
                .scans
                .map_or_else(String::new, |scans| format!(" ({scans} scans)"));
            finding = finding.because(format!("no constraint needs {}{scans}", index.definition));
        }
        if !candidates.is_empty() {
            finding = finding.next(
                "drop those of these indexes that are on columns which updates change and that queries can do without",
            );
        }
    }
    if for_room {
        finding = finding.next(format!(
            "alter table {} set (fillfactor = 85);  -- leaves room on pages written from now on; fillfactor is {fillfactor}",
            table.name.sql()
        ));
    }
    // Only constraints' indexes are in the way, and the pages have room.
    if finding.next.is_empty() {
        finding.verdict = Verdict::Keep;
        finding
            .summary
            .push_str("; its constraints need the indexes that are in the way");
    }
    Some(finding)
}

/// Whether an index keeps updates from being HOT and nothing but queries needs it.
fn blocks_hot(
    inputs: Inputs<'_>,
    shapes: &Shapes,
    table: &IndexedTable,
    index: &LiveIndex,
) -> bool {
    let Some(shape) = shapes.get(index) else {
        return false;
    };
    // Summarizing indexes do not count from 16 on.
    // https://www.postgresql.org/docs/16/storage-hot.html
    let summarizing = shape.method == "brin" && inputs.catalog.server.version_num >= 160_000;
    let needed = index.constraint.is_some()
        || shape.unique
        || index.replica_identity
        || index.of_extension
        || !index.referenced_by.is_empty();
    let for_key = inputs
        .facts
        .foreign_keys
        .iter()
        .filter(|key| key.table_oid == table.oid)
        .any(|key| foreign_key::supports(shapes, table, index, &key.columns));
    !summarizing && !needed && !for_key
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, enforcing, index};
    use super::*;
    use crate::catalog::advise::TableFacts;
    use crate::catalog::index_model::{LiveConstraintKind, TableWrites};

    fn case(hot: i64, newpage: Option<i64>) -> Case {
        let mut case = Case::indexes(vec![
            index("create index i on t (a)"),
            enforcing(
                index("create unique index k on t (b)"),
                LiveConstraintKind::Unique,
            ),
        ]);
        let table = case.table("t");
        table.writes = TableWrites {
            updates: 100_000,
            hot_updates: hot,
            ..TableWrites::default()
        };
        let oid = table.oid;
        let facts = TableFacts {
            fillfactor: None,
            newpage_updates: newpage,
        };
        case.facts.tables.insert(oid, facts);
        case
    }

    #[test]
    fn changed_columns_and_full_pages_are_told_apart() {
        let found = case(1_000, Some(500)).findings();
        assert_eq!(found[0].verdict, Verdict::Advice);
        assert!(
            found[0]
                .evidence
                .iter()
                .any(|one| one.contains("CREATE index i on"))
        );
        assert!(
            !found[0]
                .evidence
                .iter()
                .any(|one| one.contains("index k on"))
        );
        assert!(!found[0].next.iter().any(|one| one.contains("fillfactor")));
        let found = case(10_000, Some(89_000)).findings();
        assert_eq!(found[0].next.len(), 1, "{found:#?}");
        assert!(found[0].next[0].contains("set (fillfactor = 85)"));
        // Where nearly all moved nobody knows what they changed.
        let found = case(10, Some(99_900)).findings();
        assert_eq!(found[0].next.len(), 2, "{found:#?}");
        let found = case(1_000, None).findings();
        assert_eq!(
            (found[0].verdict, found[0].next.len()),
            (Verdict::NotProven, 2)
        );
    }

    #[test]
    fn a_table_that_fares_well_or_is_hardly_updated_is_left_alone() {
        assert!(case(60_000, Some(0)).findings().is_empty());
        let mut idle = case(0, Some(0));
        idle.table("t").writes.updates = 9_999;
        assert!(idle.findings().is_empty());
    }

    #[test]
    fn where_only_constraints_are_in_the_way_nothing_is_advised() {
        let mut case = case(0, Some(0));
        case.table("t").indexes.remove(0);
        assert_eq!(case.findings()[0].verdict, Verdict::Keep);
    }
}
