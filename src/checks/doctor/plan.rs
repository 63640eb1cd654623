//! The plan files against the tables: who is declared, who is not, and which cannot be partitioned as it is.

use super::{Check, Facts};
use crate::catalog::{OtherRelation, Strategy};
use crate::ident::quote_ident;
use crate::plan_file::PartitionPolicy;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    let mut found = declared(facts);
    found.extend(undeclared(facts));
    found
}

/// Policies: each needs a range-partitioned table.
fn declared(facts: Facts<'_>) -> Vec<Check> {
    let id = "declared-tables";
    if facts.policies.is_empty() {
        return vec![
            Check::warning(id, "the plan files declare no tables")
                .why("ensure and prune have nothing to keep")
                .fix("write a policy for each range-partitioned table: partitions: [{ table: …, every: month }]"),
        ];
    }
    let mut found = Vec::new();
    for policy in facts.policies {
        let table = facts
            .catalog
            .tables
            .iter()
            .find(|table| table.name == policy.table);
        let other = facts
            .catalog
            .others
            .iter()
            .find(|other| other.name == policy.table);
        match (table, other) {
            (Some(table), _) if table.strategy == Strategy::Range => {}
            (Some(_), _) => found.push(
                Check::problem(
                    id,
                    format!("{} ({}) is not partitioned by range", policy.table, policy.origin),
                )
                .why("periods are ranges")
                .fix("take the policy out of the plan file"),
            ),
            (None, Some(other)) => found.push(not_partitioned(policy, other)),
            (None, None) => found.push(
                Check::problem(
                    id,
                    format!("{} ({}) does not exist in this database", policy.table, policy.origin),
                )
                .why("ensure refuses a policy whose table is not there")
                .fix("create the table with `partition by range (…)`, or correct the name; quote it as in SQL where it has capitals"),
            ),
        }
    }
    if found.is_empty() {
        let count = facts.policies.len();
        found.push(Check::ok(
            id,
            format!("{count} declared, all there and partitioned by range"),
        ));
    }
    found
}

fn not_partitioned(policy: &PartitionPolicy, other: &OtherRelation) -> Check {
    let check = Check::problem(
        "declared-tables",
        format!(
            "{} ({}) is a {}, not a partitioned table",
            policy.table, policy.origin, other.kind
        ),
    );
    let column = policy.column.as_deref();
    let lacking = column.and_then(|column| {
        other.uniques.iter().find(|unique| {
            !unique
                .columns
                .iter()
                .any(|named| named.as_deref() == Some(column))
        })
    });
    match (lacking, column) {
        (Some(unique), Some(column)) => {
            let columns: Vec<String> = unique
                .columns
                .iter()
                .flatten()
                .map(String::as_str)
                .chain([column])
                .map(quote_ident)
                .collect();
            let kind = if unique.primary {
                "primary key"
            } else {
                "unique"
            };
            check
                .why(format!(
                    "it cannot be partitioned as it is: every unique key of a partitioned table contains the partition key, and {} lacks {}; the same id may then exist in two periods",
                    unique.name,
                    quote_ident(column)
                ))
                .fix(format!(
                    "in the partitioned table that takes its place: {kind} ({}), partition by range ({})",
                    columns.join(", "),
                    quote_ident(column)
                ))
        }
        _ => check
            .why("only a table created with `partition by range` has partitions")
            .fix("create a partitioned table in its place and move the rows"),
    }
}

/// Range-partitioned tables that nobody declared.
fn undeclared(facts: Facts<'_>) -> Vec<Check> {
    let id = "undeclared-tables";
    let names: Vec<String> = facts
        .catalog
        .tables
        .iter()
        .filter(|table| table.parent.is_none() && table.strategy == Strategy::Range)
        .filter(|table| {
            !facts
                .policies
                .iter()
                .any(|policy| policy.table == table.name)
        })
        .map(|table| table.name.to_string())
        .collect();
    if names.is_empty() {
        return vec![Check::ok(id, "every range-partitioned table has a policy")];
    }
    let fixes = names
        .iter()
        .map(|name| format!("partitions: [{{ table: {name}, every: … }}]  # in a plan file"));
    let check = Check::warning(id, format!("no policy for {}", names.join(", ")))
        .why("nobody creates their next partitions through dbops; inserts fail where they end");
    vec![fixes.fold(check, Check::fix)]
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::{Case, policies};
    use crate::catalog::{OtherRelation, Strategy, Unique};
    use crate::ident::QualifiedName;

    #[test]
    fn a_declared_table_must_be_there_and_partitioned_by_range() {
        let mut case = Case::healthy();
        assert_eq!(case.state("declared-tables"), State::Ok);
        case.catalog.tables[0].strategy = Strategy::Hash;
        assert_eq!(case.state("declared-tables"), State::Problem);
        case.catalog.tables.clear();
        assert_eq!(case.state("declared-tables"), State::Problem);
        case.policies.clear();
        assert_eq!(case.state("declared-tables"), State::Warning);
    }

    #[test]
    fn a_primary_key_without_the_partition_key_is_named_with_the_one_to_make() {
        let mut case = Case::healthy();
        case.policies = policies(
            "version: 1\npartitions:\n  - {table: public.messages, every: month, column: timestamp}\n",
        );
        case.catalog.others = vec![OtherRelation {
            oid: 7,
            name: QualifiedName::new("public", "messages"),
            kind: "table".to_owned(),
            columns: Vec::new(),
            uniques: vec![Unique {
                name: "messages_pkey".to_owned(),
                primary: true,
                columns: vec![Some("id".to_owned())],
            }],
        }];
        assert_eq!(case.state("declared-tables"), State::Problem);
        assert!(
            case.of("declared-tables")[0].fix[0].contains(
                "primary key (\"id\", \"timestamp\"), partition by range (\"timestamp\")"
            )
        );
    }

    #[test]
    fn a_table_without_a_policy_is_a_warning() {
        let mut case = Case::healthy();
        assert_eq!(case.state("undeclared-tables"), State::Ok);
        case.policies.clear();
        assert_eq!(case.state("undeclared-tables"), State::Warning);
        case.catalog.tables[0].parent = Some(QualifiedName::new("public", "top"));
        assert_eq!(case.state("undeclared-tables"), State::Ok);
    }
}
