//! What the role may do: own the declared tables, create in their schemas, keep a history, see others.

use super::{Check, Facts};
use crate::ident::quote_ident;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    let mut found = owns(facts);
    found.extend(creates(facts));
    found.push(history(facts));
    found.push(sees_others(facts));
    found
}

fn owns(facts: Facts<'_>) -> Vec<Check> {
    let id = "owns-tables";
    let role = &facts.catalog.server.role;
    let declared = facts.catalog.tables.iter().filter(|table| {
        facts
            .policies
            .iter()
            .any(|policy| policy.table == table.name)
    });
    let (owned, others): (Vec<_>, Vec<_>) = declared.partition(|table| table.rights.owns);
    if others.is_empty() {
        return match owned.len() {
            0 => Vec::new(),
            count => vec![Check::ok(
                id,
                format!(
                    "role {role} owns or is a member of the owner of all {count} declared tables"
                ),
            )],
        };
    }
    others
        .into_iter()
        .map(|table| {
            Check::problem(
                id,
                format!("{} belongs to {}, not to {role}", table.name, table.owner),
            )
            .why("only its owner may attach partitions to a table or detach them")
            .fix(format!(
                "grant {} to {};  -- gives all that the owner may do: not where that is a superuser",
                quote_ident(&table.owner),
                quote_ident(role)
            ))
            .fix(format!(
                "alter table {} owner to {};  -- instead; the same for each of its partitions",
                table.name.sql(),
                quote_ident(role)
            ))
        })
        .collect()
}

fn creates(facts: Facts<'_>) -> Vec<Check> {
    let id = "creates-in-schemas";
    let role = &facts.catalog.server.role;
    let mut wanted: Vec<&str> = facts
        .policies
        .iter()
        .map(|policy| policy.schema.as_deref().unwrap_or(&policy.table.schema))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    // What may be created in is read with each table; without one nothing was asked.
    let Some(rights) = facts.catalog.tables.first().map(|table| &table.rights) else {
        return Vec::new();
    };
    let closed: Vec<&str> = wanted
        .iter()
        .filter(|schema| !rights.creates_in.iter().any(|open| open == *schema))
        .copied()
        .collect();
    if closed.is_empty() && !wanted.is_empty() {
        return vec![Check::ok(
            id,
            format!("role {role} may create tables in {}", wanted.join(", ")),
        )];
    }
    closed
        .into_iter()
        .map(|schema| {
            Check::problem(
                id,
                format!("role {role} may not create tables in schema {schema}"),
            )
            .why("new partitions are created there")
            .fix(format!(
                "grant create on schema {} to {};",
                quote_ident(schema),
                quote_ident(role)
            ))
        })
        .collect()
}

fn history(facts: Facts<'_>) -> Check {
    let id = "history";
    let role = &facts.catalog.server.role;
    let database = &facts.catalog.server.database;
    let grant = |what: String| {
        Check::warning(id, what)
            .why("runs are then recorded in a file of the machine that dbops runs on, where others do not see them")
    };
    match (
        facts.readiness.history_schema,
        facts.readiness.history_usable,
        facts.readiness.creates_schemas,
    ) {
        (true, true, _) => Check::ok(id, "the schema dbops is there and open to the role"),
        (true, false, _) => grant(format!("the schema dbops is closed to role {role}"))
            .fix(format!(
                "grant usage on schema dbops to {};",
                quote_ident(role)
            ))
            .fix(format!(
                "grant select, insert, update on all tables in schema dbops to {};",
                quote_ident(role)
            )),
        (false, _, true) => Check::ok(id, "the first run creates the schema dbops"),
        (false, _, false) => {
            grant(format!("role {role} may not create the schema dbops")).fix(format!(
                "create schema dbops authorization {};  -- as owner of database {database}",
                quote_ident(role)
            ))
        }
    }
}

fn sees_others(facts: Facts<'_>) -> Check {
    let id = "sees-other-sessions";
    let role = &facts.catalog.server.role;
    if facts.readiness.reads_all_stats {
        Check::ok(id, "sessions of other roles are visible")
    } else {
        Check::warning(id, format!("role {role} is no member of pg_read_all_stats"))
            .why("who waits behind a run, and who blocks it, is named by process id only; how long they wait is unknown")
            .fix(format!("grant pg_read_all_stats to {};", quote_ident(role)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::Case;

    #[test]
    fn a_table_of_another_owner_is_a_problem_with_the_grant_to_give() {
        let mut case = Case::healthy();
        assert_eq!(case.state("owns-tables"), State::Ok);
        case.catalog.tables[0].rights.owns = false;
        case.catalog.tables[0].owner = "App".to_owned();
        assert_eq!(case.state("owns-tables"), State::Problem);
        assert!(case.of("owns-tables")[0].fix[0].starts_with("grant \"App\" to \"dba\";"));
    }

    #[test]
    fn a_closed_schema_is_a_problem() {
        let mut case = Case::healthy();
        assert_eq!(case.state("creates-in-schemas"), State::Ok);
        case.catalog.tables[0].rights.creates_in.clear();
        assert_eq!(case.state("creates-in-schemas"), State::Problem);
    }

    #[test]
    fn a_history_that_cannot_be_kept_is_a_warning() {
        let mut case = Case::healthy();
        assert_eq!(case.state("history"), State::Ok);
        case.readiness.creates_schemas = false;
        assert_eq!(case.state("history"), State::Warning);
        case.readiness.history_schema = true;
        assert_eq!(case.state("history"), State::Warning);
        case.readiness.history_usable = true;
        assert_eq!(case.state("history"), State::Ok);
    }

    #[test]
    fn a_role_that_sees_only_its_own_sessions_is_told_so() {
        let mut case = Case::healthy();
        assert_eq!(case.state("sees-other-sessions"), State::Ok);
        case.readiness.reads_all_stats = false;
        assert_eq!(case.state("sees-other-sessions"), State::Warning);
    }
}
