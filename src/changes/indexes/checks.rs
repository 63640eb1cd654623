//! What makes a declared index impossible before any DDL: the table, the role's rights, names, and what the
//! server's catalog does not know.

use super::Declared;
use super::compare::has_order;
use super::context::{Context, Entry};
use crate::catalog::index_model::{IndexedTable, LiveConstraintKind, TableKind};
use crate::changes::changeset::Refusal;
use crate::ident::{MAX_NAME_BYTES, QualifiedName, quote_ident, quote_if_needed};
use crate::plan_file::IndexConstraint;
use crate::syntax::KeyTarget;

type Checked<T> = Result<T, Box<Refusal>>;

/// Finds the declared table and makes sure that it can carry an index.
pub(super) fn table<'a>(
    context: &Context<'a>,
    entry: &Entry<'_>,
    name: &QualifiedName,
) -> Checked<&'a IndexedTable> {
    let refuse = |code: &str, message: String, remedy: &str| {
        Err(Box::new(entry.refusal(
            code,
            message,
            vec![remedy.to_owned()],
        )))
    };
    let Some(table) = context.table(name) else {
        return refuse(
            "table-missing",
            format!(
                "there is no table {name} in database {}",
                context.catalog().server.database
            ),
            "create it, or correct `table` in the plan file (names are as the catalog spells them; quote as in SQL)",
        );
    };
    match table.kind {
        TableKind::Foreign => refuse(
            "not-indexable",
            format!("{name} is a foreign table, which cannot be indexed from here"),
            "index the table on the server where its rows are",
        ),
        TableKind::Other => refuse(
            "not-indexable",
            format!("{name} is neither a table nor a materialized view, so it cannot be indexed"),
            "name the table that holds the rows",
        ),
        _ if table.temporary => refuse(
            "temporary-table",
            format!("{name} is a temporary table of some session"),
            "take it out of the plan file",
        ),
        _ => Ok(table),
    }
}

/// Makes sure that the role may create, alter and drop indexes on a table.
pub(super) fn rights(
    context: &Context<'_>,
    entry: &Entry<'_>,
    table: &IndexedTable,
) -> Checked<()> {
    let role = &context.catalog().server.role;
    if !table.owns {
        return Err(Box::new(entry.refusal(
            "missing-privilege",
            format!(
                "role {} does not own {} and is not a member of its owner {}",
                quote_if_needed(role),
                table.name,
                quote_if_needed(&table.owner)
            ),
            vec![format!(
                "grant {} to {};",
                quote_ident(&table.owner),
                quote_ident(role)
            )],
        )));
    }
    if !table.creates {
        return Err(Box::new(entry.refusal(
            "missing-privilege",
            format!(
                "role {} may not create indexes in schema {}",
                quote_if_needed(role),
                quote_if_needed(&table.name.schema)
            ),
            vec![format!(
                "grant usage, create on schema {} to {};",
                quote_ident(&table.name.schema),
                quote_ident(role)
            )],
        )));
    }
    Ok(())
}

/// Checks what the declared index says against what the server has.
pub(super) fn declared(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
) -> Checked<()> {
    let entry = Entry::declared(declared);
    let refuse = |code: &str, message: String, remedy: String| {
        Err(Box::new(entry.refusal(code, message, vec![remedy])))
    };
    let name = &declared.name;
    if name.name.len() > MAX_NAME_BYTES {
        return refuse(
            "name-too-long",
            format!(
                "{name} is {} bytes long; PostgreSQL keeps {MAX_NAME_BYTES} and would cut it",
                name.name.len()
            ),
            "give it a shorter name".to_owned(),
        );
    }
    if context.is_absent(name) {
        return refuse(
            "declared-and-absent",
            format!("{name} is declared, and named under `absent` too"),
            "take one of the two out of the plan file".to_owned(),
        );
    }
    if let Some(what) = context.taken_by(name, &table.name) {
        return refuse(
            "name-taken",
            format!("{name} is {what}, not an index of {}", table.name),
            "give the index another name, or rename what holds it".to_owned(),
        );
    }
    shape(context, declared, table)
}

fn shape(context: &Context<'_>, declared: &Declared, table: &IndexedTable) -> Checked<()> {
    let entry = Entry::declared(declared);
    let catalog = context.catalog();
    let spec = &declared.spec;
    let name = &declared.name;
    let refuse = |code: &str, message: String, remedy: String| {
        Err(Box::new(entry.refusal(code, message, vec![remedy])))
    };
    let columns = spec
        .key_columns()
        .chain(spec.include.iter().map(String::as_str));
    for column in columns {
        if !table.columns.iter().any(|found| found.name == column) {
            let known: Vec<String> = table
                .columns
                .iter()
                .map(|column| quote_if_needed(&column.name))
                .collect();
            return refuse(
                "unknown-column",
                format!("{} has no column {}", table.name, quote_if_needed(column)),
                format!("its columns are: {}", known.join(", ")),
            );
        }
    }
    if spec.nulls_not_distinct && context.version() < 150_000 {
        return refuse(
            "needs-version",
            format!("{name} wants NULLS NOT DISTINCT, which PostgreSQL has from 15 on"),
            "take `nulls_not_distinct` out, or make the columns NOT NULL".to_owned(),
        );
    }
    if let Some(tablespace) = &spec.tablespace
        && !catalog.tablespaces.contains(tablespace)
    {
        return refuse(
            "unknown-tablespace",
            format!("there is no tablespace {}", quote_if_needed(tablespace)),
            format!("the server has: {}", catalog.tablespaces.join(", ")),
        );
    }
    let of_method = || {
        catalog
            .opclasses
            .iter()
            .filter(|opclass| opclass.method == spec.method)
    };
    if of_method().next().is_none() {
        return refuse(
            "unknown-method",
            format!(
                "the server has no access method {} with operator classes",
                quote_if_needed(&spec.method)
            ),
            "install the extension that brings it, or choose another with `using`".to_owned(),
        );
    }
    for key in &spec.keys {
        if let Some(wanted) = &key.opclass
            && !of_method().any(|opclass| {
                opclass.name == wanted.name
                    && wanted
                        .schema
                        .as_ref()
                        .is_none_or(|schema| *schema == opclass.schema)
            })
        {
            return refuse(
                "unknown-opclass",
                format!(
                    "access method {} has no operator class {wanted}",
                    spec.method
                ),
                "correct its name, or install the extension that brings it".to_owned(),
            );
        }
        if (key.desc || key.nulls_first) && !has_order(&spec.method) {
            return refuse(
                "order-not-supported",
                format!(
                    "{name} wants an order, which access method {} does not have",
                    spec.method
                ),
                "take `desc` and `nulls` out".to_owned(),
            );
        }
    }
    if spec.unique
        && matches!(
            spec.method.as_str(),
            "hash" | "gist" | "gin" | "spgist" | "brin"
        )
    {
        return refuse(
            "unique-not-supported",
            format!("access method {} has no unique indexes", spec.method),
            "use btree, or take `unique` out".to_owned(),
        );
    }
    unique_partitions(context, declared, table)
}

/// A unique index of a partitioned table must hold the partition key of every level: each partition's index
/// can only see its own rows.
fn unique_partitions(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
) -> Checked<()> {
    let spec = &declared.spec;
    if !spec.unique {
        return Ok(());
    }
    let entry = Entry::declared(declared);
    for level in context.tree(&table.name) {
        if level.kind == TableKind::Foreign {
            return Err(Box::new(entry.refusal(
                "unique-with-foreign-partition",
                format!("{} has the foreign table {} as a partition, so it can have no unique index", table.name, level.name),
                vec!["detach the foreign table, or declare unique indexes on the partitions".to_owned()],
            )));
        }
        for part in &level.partition_key {
            let held = part
                .as_deref()
                .is_some_and(|column| spec.key_columns().any(|key| key == column));
            if !held {
                let part = part
                    .as_deref()
                    .map_or_else(|| "an expression".to_owned(), quote_if_needed);
                return Err(Box::new(entry.refusal(
                    "unique-without-partition-key",
                    format!(
                        "{} is partitioned by {part}, which a unique index of {} must have among its key columns",
                        level.name, table.name
                    ),
                    vec![
                        format!("add {part} to `columns`, or declare a unique index on each partition: that is unique within it only"),
                    ],
                )));
            }
        }
    }
    Ok(())
}

/// Columns of a key that a constraint can be made of; `None` for an expression.
pub(super) fn plain_columns(declared: &Declared) -> Option<Vec<&str>> {
    declared
        .spec
        .keys
        .iter()
        .map(|key| match &key.target {
            KeyTarget::Column(name) => Some(name.as_str()),
            KeyTarget::Expression(_) => None,
        })
        .collect()
}

/// Makes sure that ADD CONSTRAINT … USING INDEX will take the declared index.
///
/// Source: `transformIndexConstraint` in `parse_utilcmd.c`.
pub(super) fn constraint(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
    kind: IndexConstraint,
) -> Checked<()> {
    let entry = Entry::declared(declared);
    let spec = &declared.spec;
    let name = &declared.name;
    let words = match kind {
        IndexConstraint::Primary => "primary key",
        IndexConstraint::Unique => "unique constraint",
    };
    let refuse = |code: &str, why: String, remedy: String| {
        Err(Box::new(entry.refusal(
            code,
            format!("{name} cannot become a {words}: {why}"),
            vec![remedy],
        )))
    };
    match table.kind {
        TableKind::Table => {}
        TableKind::Partitioned => {
            return refuse(
                "constraint-on-partitioned",
                format!(
                    "PostgreSQL takes no existing index for a constraint of the partitioned table {}",
                    table.name
                ),
                format!(
                    "leave `constraint` out: the unique index enforces the same; or, when writers may wait for the whole build: alter table {} add {} (…);",
                    table.name.sql(),
                    if kind == IndexConstraint::Primary {
                        "primary key"
                    } else {
                        "unique"
                    }
                ),
            );
        }
        _ => {
            return refuse(
                "constraint-not-possible",
                format!("{} is not a table", table.name),
                "leave `constraint` out".to_owned(),
            );
        }
    }
    let not_plain = if !spec.unique {
        Some("it is not unique")
    } else if spec.method != "btree" {
        Some("it is not a btree index")
    } else if spec.predicate.is_some() {
        Some("it has a predicate")
    } else if plain_columns(declared).is_none() {
        Some("it has an expression among its keys")
    } else if spec.keys.iter().any(|key| key.desc || key.nulls_first) {
        Some("a constraint's index is sorted ascending with NULLs last")
    } else if spec.keys.iter().any(|key| key.opclass.is_some()) {
        Some("a constraint's index has the default operator classes; leave `opclass` out")
    } else if spec.keys.iter().any(|key| {
        key.collate.as_ref().is_some_and(|wanted| {
            !table.columns.iter().any(|column| {
                matches!(&key.target, KeyTarget::Column(name) if *name == column.name)
                    && column
                        .collation
                        .as_ref()
                        .is_some_and(|(_, is)| *is == wanted.name)
            })
        })
    }) {
        Some("a constraint's index has the collations of its columns")
    } else if kind == IndexConstraint::Primary && spec.nulls_not_distinct {
        Some("a primary key holds no NULLs, so NULLS NOT DISTINCT is refused")
    } else {
        None
    };
    if let Some(why) = not_plain {
        return refuse(
            "constraint-not-possible",
            why.to_owned(),
            "change the index, or leave `constraint` out".to_owned(),
        );
    }
    let other_primary = context.on(table).find(|live| {
        live.index.name != *name
            && live
                .index
                .constraint
                .as_ref()
                .is_some_and(|constraint| constraint.kind == LiveConstraintKind::Primary)
    });
    if let (IndexConstraint::Primary, Some(live)) = (kind, other_primary) {
        return refuse(
            "primary-key-exists",
            format!("{} has the primary key {}", table.name, live.index.name),
            "declare it with `constraint: unique`, or drop the other primary key first".to_owned(),
        );
    }
    Ok(())
}
