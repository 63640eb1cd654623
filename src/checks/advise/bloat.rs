//! Btree indexes with more pages than their rows need: measured where pgstattuple was asked, else estimated
//! from statistics.

use super::{Finding, Inputs, Kind, Verdict};
use crate::catalog::advise::{BLOAT_FROM_BYTES, ColumnWidth, Density, IndexColumns};
use crate::catalog::index_model::{IndexCatalog, IndexedTable, LiveIndex};
use crate::syntax::DEFAULT_METHOD;

const PAGE: f64 = 8192.0;
/// Page header and the btree's own space at the end of a page.
const PAGE_HEADER: f64 = 24.0 + 16.0;
const LINE_POINTER: f64 = 4.0;
const TUPLE_HEADER: f64 = 8.0;
/// Share of pages above the leaves.
const INNER: f64 = 1.005;
/// A btree that took its rows in random order is about 70 % full, which is nothing to mend.
const WORTH: f64 = 0.40;
const DEFAULT_FILLFACTOR: f64 = 90.0;

/// Returns the oids of the btree indexes that are large enough to be looked into.
pub fn large_btrees(catalog: &IndexCatalog) -> Vec<u32> {
    let indexes = catalog.tables.iter().flat_map(|table| &table.indexes);
    indexes.filter(large).map(|index| index.oid).collect()
}

pub(super) fn find(inputs: Inputs<'_>) -> Vec<Finding> {
    let tables = inputs.catalog.tables.iter();
    tables
        .flat_map(|table| {
            let indexes = table.indexes.iter().filter(large);
            indexes.filter_map(move |index| judge(inputs, table, index))
        })
        .collect()
}

fn large(index: &&LiveIndex) -> bool {
    index.valid
        && !index.partitioned
        && index.bytes >= BLOAT_FROM_BYTES
        && super::shape::spec(index).is_some_and(|spec| spec.method == DEFAULT_METHOD)
}

fn judge(inputs: Inputs<'_>, table: &IndexedTable, index: &LiveIndex) -> Option<Finding> {
    let fillfactor = index
        .reloptions
        .get("fillfactor")
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_FILLFACTOR)
        / 100.0;
    let finding = |verdict, summary| {
        Finding::new(Kind::Bloat, verdict, &table.name, summary)
            .of(&index.name)
            .because(index.definition.clone())
            .figure("bytes", index.bytes as f64)
    };
    if let Some(density) = inputs.facts.densities.get(&index.oid) {
        let needed = measured(density, fillfactor) * PAGE;
        return worth(index, needed, fillfactor).then(|| {
            rebuild(
                finding(
                    Verdict::Advice,
                    format!(
                        "{} has {:.0} % of its pages to spare, measured",
                        index.name,
                        spare(index, needed) * 100.0
                    ),
                )
                .because(format!(
                    "its leaf pages are {:.0} % full, {} of {} pages hold nothing",
                    density.avg_leaf_density,
                    density.empty_pages,
                    (index.bytes as f64 / PAGE).floor()
                ))
                .figure("leaf_density_percent", density.avg_leaf_density),
                index,
                needed,
            )
        });
    }
    let columns = inputs.facts.columns.get(&index.oid)?;
    let deduplicates = index
        .reloptions
        .get("deduplicate_items")
        .is_none_or(|value| value == "on" || value == "true");
    let Some(pages) = expected_pages(columns, fillfactor, deduplicates) else {
        return Some(
            finding(
                Verdict::NotProven,
                format!(
                    "{} cannot be judged for bloat: there are no statistics of its columns",
                    index.name
                ),
            )
            .next(format!("analyze {};", table.name.sql())),
        );
    };
    // Rows were counted when the index had this many pages; it may have grown since.
    let grown = if columns.pages > 0 {
        (index.bytes as f64 / PAGE / columns.pages as f64).max(1.0)
    } else {
        1.0
    };
    let needed = pages * grown * PAGE;
    worth(index, needed, fillfactor).then(|| {
        rebuild(
            finding(
                Verdict::Advice,
                format!(
                    "{} has about {:.0} % of its pages to spare, an estimate",
                    index.name,
                    spare(index, needed) * 100.0
                ),
            )
            .because(format!(
                "{} pages for {:.0} entries, about {:.0} would do",
                (index.bytes as f64 / PAGE).floor(),
                columns.tuples * grown,
                pages * grown
            ))
            .because("an estimate from column widths; `--exact` measures it where pgstattuple is installed"),
            index,
            needed,
        )
    })
}

fn rebuild(mut finding: Finding, index: &LiveIndex, needed: f64) -> Finding {
    finding.frees_bytes = Some((index.bytes as f64 - needed) as i64);
    finding
        .figure("needed_bytes", needed)
        .next(format!("reindex index concurrently {};", index.name.sql()))
}

fn spare(index: &LiveIndex, needed: f64) -> f64 {
    1.0 - needed / index.bytes as f64
}

/// A fill factor that was set low on purpose is not bloat: `needed` leaves its room free already.
fn worth(index: &LiveIndex, needed: f64, fillfactor: f64) -> bool {
    fillfactor > 0.0 && spare(index, needed) >= WORTH
}

/// Pages that the leaves would take, filled as a new index is.
fn measured(density: &Density, fillfactor: f64) -> f64 {
    let filled = density.leaf_pages as f64 * density.avg_leaf_density / 100.0;
    filled / fillfactor * INNER + 1.0
}

/// Estimates the pages of a new btree with these entries; `None`: a width is not known.
///
/// Space of a leaf page divided by the width of an entry; equal keys share one entry with a list of
/// their rows' places where the server deduplicates.
/// <https://www.postgresql.org/docs/current/btree.html#BTREE-DEDUPLICATION>
fn expected_pages(index: &IndexColumns, fillfactor: f64, deduplicates: bool) -> Option<f64> {
    // reltuples below zero: never counted.
    if index.tuples < 0.0 || index.pages <= 0 || index.columns.is_empty() {
        return None;
    }
    let mut data = 0.0;
    let mut nulls = false;
    for column in &index.columns {
        let share = 1.0 - column.null_fraction.unwrap_or(0.0);
        let width = f64::from(column.width?);
        nulls |= column.null_fraction.unwrap_or(0.0) > 0.0;
        // A short text has a header of one byte and no padding; all others start aligned.
        let aligned = if column.alignment > 1 && width >= f64::from(column.alignment) {
            let step = f64::from(column.alignment);
            (width / step).ceil() * step
        } else {
            width
        };
        data += share * aligned;
    }
    let header = if nulls {
        TUPLE_HEADER + 8.0
    } else {
        TUPLE_HEADER
    };
    let entry = maxaligned(header + data) + LINE_POINTER;
    let plain = index.tuples * entry;
    let bytes = match distinct(index).filter(|_| deduplicates) {
        // Lists are split at a third of a page; a key of many rows has several.
        Some(keys) if index.tuples / keys >= 2.0 => {
            let lists = (index.tuples * 6.0 / (PAGE / 6.0)).max(keys);
            (lists * entry + index.tuples * 6.0).min(plain)
        }
        _ => plain,
    };
    let leaf = (PAGE - PAGE_HEADER) * fillfactor;
    Some((bytes / leaf).ceil() * INNER + 1.0)
}

fn maxaligned(bytes: f64) -> f64 {
    (bytes / 8.0).ceil() * 8.0
}

/// At most this many distinct keys; `None` where equal values may differ in their bytes, which the server does not
/// deduplicate, or where it is not known.
fn distinct(index: &IndexColumns) -> Option<f64> {
    let shared = |column: &ColumnWidth| {
        let type_name = column.type_name.as_str();
        column.is_key
            && column.deterministic
            && !type_name.ends_with("[]")
            && !matches!(type_name, "numeric" | "real" | "double precision" | "jsonb")
            && !type_name.ends_with("range")
            && !type_name.ends_with("record")
    };
    if !index.columns.iter().all(shared) {
        return None;
    }
    let mut keys = 1.0;
    for column in &index.columns {
        let n = column.n_distinct?;
        keys *= if n < 0.0 {
            -n * index.tuples
        } else {
            n.max(1.0)
        };
    }
    Some(keys.clamp(1.0, index.tuples.max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(width: i32, n_distinct: f64) -> ColumnWidth {
        ColumnWidth {
            is_key: true,
            type_name: "integer".to_owned(),
            width: Some(width),
            null_fraction: Some(0.0),
            n_distinct: Some(n_distinct),
            alignment: 4,
            deterministic: true,
        }
    }

    fn index(tuples: f64, columns: Vec<ColumnWidth>) -> IndexColumns {
        IndexColumns {
            pages: 1,
            tuples,
            columns,
        }
    }

    #[test]
    fn estimates_are_those_of_new_indexes() {
        // A million integers: 2 745 pages measured. A million of ten values, deduplicated: 850 or so.
        let unique = expected_pages(&index(1e6, vec![column(4, -1.0)]), 0.9, true).unwrap();
        assert!((2_700.0..2_800.0).contains(&unique), "{unique}");
        let few = expected_pages(&index(1e6, vec![column(4, 10.0)]), 0.9, true).unwrap();
        assert!((800.0..900.0).contains(&few), "{few}");
        let not = expected_pages(&index(1e6, vec![column(4, 10.0)]), 0.9, false).unwrap();
        assert!((2_700.0..2_800.0).contains(&not), "{not}");
    }

    #[test]
    fn without_statistics_there_is_no_estimate() {
        let mut column = column(4, -1.0);
        column.width = None;
        assert_eq!(expected_pages(&index(10.0, vec![column]), 0.9, true), None);
        assert_eq!(expected_pages(&index(-1.0, vec![]), 0.9, true), None);
    }
}
