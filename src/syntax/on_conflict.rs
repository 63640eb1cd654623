//! INSERT statements with an ON CONFLICT clause, in texts as they were run.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

use super::ObjectName;
use super::depth::too_deep;
use crate::ident::split_name;

/// One INSERT … ON CONFLICT with a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnConflict {
    /// The table that is inserted into.
    pub table: ObjectName,
    /// What says which unique index is meant.
    pub target: ConflictTarget,
}

/// What says which unique index is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictTarget {
    /// Columns, from which the server infers an index; an expression is `None`.
    Columns(Vec<Option<String>>),
    /// The name of a constraint.
    Constraint(String),
}

/// Returns the ON CONFLICT clauses with a target in a text, those in WITH included.
///
/// What cannot be read is left out: such texts may be cut off or hold what another version understands.
pub fn on_conflict(text: &str) -> Vec<OnConflict> {
    if too_deep(text).is_some() {
        return Vec::new();
    }
    SourceFile::parse(text)
        .tree()
        .syntax()
        .descendants()
        .filter_map(ast::Insert::cast)
        .filter_map(|insert| clause(&insert))
        .collect()
}

fn clause(insert: &ast::Insert) -> Option<OnConflict> {
    let table = insert.relation_name_ref()?.syntax().text().to_string();
    let (schema, name) = split_name(&table).ok()?;
    let target = match insert.on_conflict_clause()?.conflict_target()? {
        ast::ConflictTarget::ConflictOnConstraint(target) => {
            let text = target.constraint_name_ref()?.syntax().text().to_string();
            ConflictTarget::Constraint(split_name(&text).ok()?.1)
        }
        ast::ConflictTarget::ConflictOnIndex(target) => ConflictTarget::Columns(
            target
                .conflict_index_item_list()?
                .conflict_index_items()
                .map(|item| column(&item))
                .collect(),
        ),
    };
    Some(OnConflict {
        table: ObjectName { schema, name },
        target,
    })
}

/// A name alone is a column; anything else is an expression.
fn column(item: &ast::ConflictIndexItem) -> Option<String> {
    let expr = match item.collate() {
        Some(collate) => collate.syntax().children().find_map(ast::Expr::cast),
        None => item.expr(),
    }?;
    match expr {
        ast::Expr::NameRef(name) => match split_name(&name.syntax().text().to_string()) {
            Ok((None, name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, ConflictTarget)> {
        on_conflict(text)
            .into_iter()
            .map(|found| (found.table.to_string(), found.target))
            .collect()
    }

    fn columns(names: &[&str]) -> ConflictTarget {
        ConflictTarget::Columns(names.iter().map(|name| Some((*name).to_owned())).collect())
    }

    #[test]
    fn targets_are_found_as_statements_name_them() {
        assert_eq!(
            found(
                "INSERT INTO s.\"T\" AS t (a, \"colB\") VALUES ($1, $2) ON CONFLICT (\"colB\", A) WHERE a > $3 DO UPDATE SET a = excluded.a"
            ),
            [("s.\"T\"".to_owned(), columns(&["colB", "a"]))]
        );
        assert_eq!(
            found(
                "with x as (insert into t select 1 on conflict on constraint k do nothing returning *) select * from x"
            ),
            [("t".to_owned(), ConflictTarget::Constraint("k".to_owned()))]
        );
        assert_eq!(
            found(
                "insert into t (a) values ($1) on conflict (lower(a), b collate \"C\") do nothing"
            ),
            [(
                "t".to_owned(),
                ConflictTarget::Columns(vec![None, Some("b".to_owned())])
            )]
        );
        assert!(found("insert into t (a) values ($1) on conflict do nothing").is_empty());
        assert!(found("select 'insert into t on conflict (a) do nothing'").is_empty());
    }
}
