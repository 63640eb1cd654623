//! From a unique index to a constraint, without a scan under a lock that stops anybody.

use super::Declared;
use super::context::Entry;
use super::steps::{About, concurrent, lock, polled, step};
use crate::catalog::index_model::IndexedTable;
use crate::changes::changeset::{Action, LockMode, Step};
use crate::ident::quote_ident;
use crate::plan_file::IndexConstraint;

/// NOT NULL without a scan under ACCESS EXCLUSIVE: a check that is not valid yet, its validation beside
/// writers, and then SET NOT NULL, which finds the check.
pub(super) fn set_not_null(
    declared: &Declared,
    table: &IndexedTable,
    check: &str,
    columns: &[&str],
) -> [Step; 3] {
    let entry = Entry::declared(declared);
    let (sql, quoted) = (table.name.sql(), quote_ident(check));
    let condition: Vec<String> = columns
        .iter()
        .map(|column| format!("{} is not null", quote_ident(column)))
        .collect();
    let about = About::new(&declared.name, &table.name);
    let drop_check = format!("alter table {sql} drop constraint if exists {quoted}");
    let exclusive = || {
        vec![lock(
            &table.name,
            LockMode::AccessExclusive,
            "table, for a moment",
            true,
        )]
    };
    let make = |summary: String, locks, ways| {
        step(
            &entry,
            Action::SetNotNull,
            summary,
            about.change(),
            locks,
            ways,
        )
    };
    let mut set = vec![format!(
        "alter table {sql} {}",
        columns
            .iter()
            .map(|column| format!("alter column {} set not null", quote_ident(column)))
            .collect::<Vec<_>>()
            .join(", ")
    )];
    set.push(drop_check.clone());
    let mut validate = concurrent(
        Vec::new(),
        format!("alter table {sql} validate constraint {quoted}"),
    );
    for way in &mut validate {
        way.undo = vec![drop_check.clone()];
    }
    let names = columns.join(", ");
    [
        make(
            format!(
                "add a check that {names} of {} hold no NULL, for new rows",
                table.name
            ),
            exclusive(),
            polled(vec![
                drop_check.clone(),
                format!(
                    "alter table {sql} add constraint {quoted} check ({}) not valid",
                    condition.join(" and ")
                ),
            ]),
        ),
        make(
            format!("validate it for the rows of {}", table.name),
            vec![lock(
                &table.name,
                LockMode::ShareUpdateExclusive,
                "table; reads and writes go on",
                false,
            )],
            validate,
        ),
        make(
            format!("set {names} of {} NOT NULL, without a scan", table.name),
            exclusive(),
            polled(set),
        ),
    ]
}

/// ADD CONSTRAINT … USING INDEX.
pub(super) fn add_constraint(
    declared: &Declared,
    table: &IndexedTable,
    kind: IndexConstraint,
) -> Step {
    let name = quote_ident(&declared.name.name);
    let words = match kind {
        IndexConstraint::Primary => "primary key",
        IndexConstraint::Unique => "unique",
    };
    step(
        &Entry::declared(declared),
        Action::AddConstraint,
        format!(
            "make {} the {words} constraint of {}",
            declared.name, table.name
        ),
        About::new(&declared.name, &table.name).change(),
        vec![lock(
            &table.name,
            LockMode::AccessExclusive,
            "table, for a moment",
            true,
        )],
        polled(vec![format!(
            "alter table {} add constraint {name} {words} using index {name}",
            table.name.sql()
        )]),
    )
}
