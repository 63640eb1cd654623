//! What an index costs: bytes of a new one, and updates that can no longer be heap-only.

use std::collections::BTreeSet;

use super::Declared;
use super::context::Context;
use crate::catalog::index_model::{IndexedTable, TableColumn, TableKind};
use crate::ident::quote_if_needed;
use crate::syntax::{IndexSpec, KeyTarget};

const PAGE: f64 = 8192.0;
/// Page header and the special space of a B-tree page.
const PAGE_OVERHEAD: f64 = 40.0;
const TUPLE_HEADER: f64 = 8.0;
const LINE_POINTER: f64 = 4.0;
/// A row's address in a posting list.
const ITEM_POINTER: f64 = 6.0;
/// Longest posting tuple (`_bt_dedup` caps it at a sixth of a page).
const LONGEST_POSTING: f64 = PAGE / 6.0;
/// Width of a value of which nothing is known.
const UNKNOWN_WIDTH: f64 = 16.0;

/// Estimates the bytes of a new index; `None` where rows or the predicate's share of them are unknown.
pub(super) fn estimate(
    context: &Context<'_>,
    spec: &IndexSpec,
    table: &IndexedTable,
) -> Option<i64> {
    if spec.predicate.is_some() || table.kind == TableKind::Partitioned {
        return None;
    }
    let rows = table.rows_estimate? as f64;
    let bytes = match spec.method.as_str() {
        "btree" => btree(spec, table, rows, context.version()),
        // Hash codes of 4 bytes, at the fill factor of 75 and with buckets in powers of two.
        "hash" => rows * (TUPLE_HEADER + 8.0 + LINE_POINTER) / 0.6,
        "brin" => {
            let per_range = spec
                .with
                .get("pages_per_range")
                .and_then(|pages| pages.parse::<f64>().ok())
                .unwrap_or(128.0)
                .max(1.0);
            let ranges = (table.bytes as f64 / PAGE / per_range).ceil();
            3.0 * PAGE + ranges * (TUPLE_HEADER + LINE_POINTER + 2.0 * width(spec, table))
        }
        // Values are shared by the rows that hold them; how many there are is not known from here.
        "gin" => rows * (width(spec, table) * 0.5 + ITEM_POINTER),
        _ => rows * (TUPLE_HEADER + LINE_POINTER + aligned(width(spec, table))) / 0.75,
    };
    Some((bytes.max(PAGE) / PAGE).ceil() as i64 * PAGE as i64)
}

fn btree(spec: &IndexSpec, table: &IndexedTable, rows: f64, version: i32) -> f64 {
    let fill = spec
        .with
        .get("fillfactor")
        .and_then(|fill| fill.parse::<f64>().ok())
        .unwrap_or(90.0)
        .clamp(10.0, 100.0)
        / 100.0;
    let key = aligned(TUPLE_HEADER + width(spec, table));
    let off = spec
        .with
        .get("deduplicate_items")
        .is_some_and(|value| super::parameters::normal(value) == "0");
    let deduplicates = version >= 130_000 && !off && !spec.unique && spec.include.is_empty();
    let same = match distinct(spec, table, rows) {
        Some(distinct) if deduplicates && distinct > 0.0 => (rows / distinct).max(1.0),
        _ => 1.0,
    };
    let per_row = if same < 2.0 {
        key + LINE_POINTER
    } else {
        // A posting list holds as many rows as there are, or as fit.
        let fits = ((LONGEST_POSTING - key) / ITEM_POINTER).max(2.0);
        let held = same.min(fits);
        (aligned(key + held * ITEM_POINTER) + LINE_POINTER) / held
    };
    // Inner pages are about one in a few hundred.
    rows * per_row / ((PAGE - PAGE_OVERHEAD) * fill) * PAGE * 1.005 + 2.0 * PAGE
}

/// Distinct keys, where the statistics of every key column are there.
fn distinct(spec: &IndexSpec, table: &IndexedTable, rows: f64) -> Option<f64> {
    let mut product = 1.0_f64;
    for key in &spec.keys {
        let KeyTarget::Column(name) = &key.target else {
            return None;
        };
        let column = column(table, name)?;
        let n_distinct = f64::from(column.n_distinct?);
        let values = if n_distinct < 0.0 {
            -n_distinct * rows
        } else {
            n_distinct
        };
        product *= values.max(1.0);
    }
    Some(product.min(rows.max(1.0)))
}

/// Width of the keys and stored columns of one row, with the padding between them.
fn width(spec: &IndexSpec, table: &IndexedTable) -> f64 {
    let keys = spec.keys.iter().map(|key| match &key.target {
        KeyTarget::Column(name) => column(table, name),
        KeyTarget::Expression(_) => None,
    });
    let stored = spec.include.iter().map(|name| column(table, name));
    keys.chain(stored).fold(0.0, |at, column| {
        let wide = column.and_then(|column| column.width);
        let nulls = column
            .and_then(|column| column.null_fraction)
            .map_or(0.0, f64::from);
        let wide = wide.map_or(UNKNOWN_WIDTH, f64::from);
        let align = column.map_or(4.0, |column| alignment(&column.type_name));
        // NULLs take no room, but the average width does not count them.
        ((at / align).ceil() * align) + wide * (1.0 - nulls)
    })
}

fn alignment(type_name: &str) -> f64 {
    match type_name {
        "bigint" | "double precision" | "interval" => 8.0,
        "smallint" => 2.0,
        "boolean" | "uuid" => 1.0,
        name if name.starts_with("timestamp") || name.starts_with("time ") => 8.0,
        // Short values of variable length are not aligned.
        name if name.starts_with("text")
            || name.starts_with("character")
            || name.starts_with("numeric") =>
        {
            1.0
        }
        _ => 4.0,
    }
}

fn aligned(bytes: f64) -> f64 {
    (bytes / 8.0).ceil() * 8.0
}

fn column<'a>(table: &'a IndexedTable, name: &str) -> Option<&'a TableColumn> {
    table.columns.iter().find(|column| column.name == name)
}

/// Says which updates stop being heap-only: those of columns that no other index of the table has.
pub(super) fn hot(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
) -> Option<String> {
    let writes = table.writes;
    if writes.updates == 0 || (declared.spec.method == "brin" && context.version() >= 160_000) {
        return None;
    }
    let known: BTreeSet<String> = context
        .on(table)
        .filter(|live| live.index.name != declared.name)
        .filter_map(|live| live.spec.as_ref())
        .filter(|spec| spec.method != "brin" || context.version() < 160_000)
        .flat_map(|spec| columns(spec, table))
        .collect();
    let new: Vec<String> = columns(&declared.spec, table)
        .into_iter()
        .filter(|column| !known.contains(column))
        .map(|column| quote_if_needed(&column))
        .collect();
    if new.is_empty() {
        return None;
    }
    Some(format!(
        "updates that change {} cannot be heap-only (HOT) any more; {} of {} updates of {} were",
        new.join(" or "),
        writes.hot_updates,
        writes.updates,
        table.name
    ))
}

/// Every column that an index depends on, those in its texts included.
pub(super) fn columns(spec: &IndexSpec, table: &IndexedTable) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = spec.key_columns().map(str::to_owned).collect();
    found.extend(spec.include.iter().cloned());
    for text in spec.expressions() {
        let words = words(text);
        found.extend(
            table
                .columns
                .iter()
                .map(|column| &column.name)
                .filter(|name| words.contains(name.as_str()))
                .cloned(),
        );
    }
    found
}

/// Identifiers of a text: bare words in lower case, quoted ones as they are. Words of other kinds do no harm.
fn words(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, piece) in text.split('"').enumerate() {
        if at % 2 == 1 {
            found.insert(piece.to_owned());
        } else {
            found.extend(
                piece
                    .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .filter(|word| !word.is_empty())
                    .map(str::to_lowercase),
            );
        }
    }
    found
}
