//! Which statements can be the child of a loop at all, and why the others cannot.

use super::Options;
use super::observation::{Group, Statement};
use super::schema::{ColumnClass, Links, table_of};
use crate::syntax::shape::{StatementKind, Values};

/// What the statement of a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Fetches one object by its key.
    BelongsTo,
    /// Fetches the objects that refer to one.
    HasMany,
    /// The same through a join table.
    ManyToMany,
    /// Counts or sums what refers to one object.
    Count,
    /// Inserts one row.
    Insert,
    /// Updates one object.
    Update,
    /// Deletes one object.
    Delete,
}

/// Why a statement is not looked at as the child of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quiet {
    /// Too few executions to say anything.
    FewCalls,
    /// Begins or ends a transaction, sets a parameter, changes a definition …
    NotData,
    /// The server's own check of a foreign key.
    ForeignKeyCheck,
    /// Asks for many keys at once: the cure, not the disease.
    Batched,
    /// Compares no column with a single value.
    NoKey,
    /// Looks up a key with a meaning of its own: a token, a name.
    NaturalKey,
    /// Takes the next piece of work of a queue.
    Queue,
}

/// A statement that may be the child of a loop.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its place in the group.
    pub(super) index: usize,
    pub(super) kind: Kind,
    pub(super) class: ColumnClass,
    /// Table and column of each key it looks for.
    pub(super) keys: Vec<(String, String)>,
    /// Elements of its list, where it asks for a few at once.
    pub(super) batch: Option<usize>,
}

pub(super) fn candidate(
    group: &Group,
    index: usize,
    links: &Links,
    options: &Options,
) -> Result<Candidate, Quiet> {
    let min_calls = options.min_calls;
    let statement = group.statements.get(index).ok_or(Quiet::NoKey)?;
    let shape = &statement.shape;
    if shape.foreign_key_check {
        return Err(Quiet::ForeignKeyCheck);
    }
    if matches!(
        shape.kind,
        StatementKind::Transaction | StatementKind::Utility | StatementKind::Merge
    ) {
        return Err(Quiet::NotData);
    }
    if shape.skips_locked {
        return Err(Quiet::Queue);
    }
    if shape.kind == StatementKind::Insert {
        return insert(statement, index, links, min_calls);
    }
    let mut batch = None;
    let mut keys = Vec::new();
    for equality in &shape.equalities {
        match equality.values {
            Values::One | Values::List(Some(1)) => {}
            Values::List(Some(few @ 2..=4)) => batch = Some(few),
            Values::List(_) | Values::Array => return Err(Quiet::Batched),
        }
        let column = &equality.column;
        if links.ambient.contains(&column.name) {
            continue;
        }
        if let Some(table) = table_of(shape, column) {
            let class = links.class(table, &column.name);
            keys.push((class, table.to_owned(), column.name.clone()));
        }
    }
    if keys.is_empty() {
        return Err(Quiet::NoKey);
    }
    let any = |class: ColumnClass| keys.iter().any(|(found, _, _)| *found == class);
    let class = if any(ColumnClass::PrimaryKey) {
        ColumnClass::PrimaryKey
    } else if any(ColumnClass::NaturalKey) {
        ColumnClass::NaturalKey
    } else if any(ColumnClass::ForeignKey) {
        ColumnClass::ForeignKey
    } else {
        ColumnClass::Other
    };
    // A column of which nothing is known and that finds one row at most is a key with a meaning of its own.
    let class = if class == ColumnClass::Other
        && shape.kind == StatementKind::Select
        && shape.aggregates.is_empty()
        && !options.any_column
        && statement.fan_out() <= 1.0
        && !keys.iter().any(|(_, table, _)| links.knows(table))
    {
        ColumnClass::NaturalKey
    } else {
        class
    };
    if class == ColumnClass::NaturalKey && !options.natural_keys {
        return Err(Quiet::NaturalKey);
    }
    if statement.total_calls() < min_calls {
        return Err(Quiet::FewCalls);
    }
    if class != ColumnClass::NaturalKey {
        keys.retain(|(found, _, _)| *found == class);
    }
    let kind = match shape.kind {
        StatementKind::Update => Kind::Update,
        StatementKind::Delete => Kind::Delete,
        _ if !shape.aggregates.is_empty() => Kind::Count,
        _ if class == ColumnClass::PrimaryKey && shape.joins.is_empty() => Kind::BelongsTo,
        _ if !shape.joins.is_empty() && class == ColumnClass::ForeignKey => Kind::ManyToMany,
        _ if class == ColumnClass::PrimaryKey => Kind::BelongsTo,
        _ => Kind::HasMany,
    };
    Ok(Candidate {
        index,
        kind,
        class,
        keys: keys
            .into_iter()
            .map(|(_, table, column)| (table, column))
            .collect(),
        batch,
    })
}

fn insert(
    statement: &Statement,
    index: usize,
    links: &Links,
    min_calls: f64,
) -> Result<Candidate, Quiet> {
    let shape = &statement.shape;
    let Some(target) = shape.tables.iter().find(|table| table.written) else {
        return Err(Quiet::NoKey);
    };
    if shape.value_rows != Some(1) {
        return Err(Quiet::Batched);
    }
    if statement.total_calls() < min_calls {
        return Err(Quiet::FewCalls);
    }
    let keys = shape
        .set_columns
        .iter()
        .filter(|column| links.from(&target.name, column).next().is_some())
        .map(|column| (target.name.clone(), column.clone()))
        .collect();
    Ok(Candidate {
        index,
        kind: Kind::Insert,
        class: ColumnClass::Other,
        keys,
        batch: None,
    })
}
