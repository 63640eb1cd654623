//! What every partition planner starts from: a declared table found in the catalog, with its key as
//! a number line, or the reason why it cannot be served.

use chrono::{DateTime, Utc};

use super::bound::{BoundSpec, parse_bound, range_on};
use super::calendar::Calendar;
use super::changeset::{Basis, Changeset, FORMAT, Note, Refusal, Step, Subject};
use super::key::{Axis, Bound};
use crate::catalog::{
    Catalog, Column, OtherRelation, Partition, PartitionedTable, Server, Strategy, Unique,
    fingerprint,
};
use crate::ident::{QualifiedName, quote_ident};
use crate::plan_file::{LockBudget, PartitionPolicy};

/// What a planner is given. The clock is an argument.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The policies of the plan files.
    pub policies: &'a [PartitionPolicy],
    /// Lock budget of the plan file.
    pub budget: LockBudget,
    /// What the server says.
    pub catalog: &'a Catalog,
    /// The instant used as now.
    pub now: DateTime<Utc>,
}

/// What a planner found: parts of a changeset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// The steps; `id` is given by [`Draft::into_changeset`].
    pub steps: Vec<Step>,
    /// What cannot be served.
    pub refusals: Vec<Refusal>,
    /// Facts worth a look.
    pub notes: Vec<Note>,
}

/// What a changeset says about itself.
#[derive(Debug, Clone)]
pub struct Heading<'a> {
    /// `partitions ensure`.
    pub command: &'a str,
    /// Name of the target.
    pub target: &'a str,
    /// When it is made.
    pub created_at: DateTime<Utc>,
    /// From when on a saved one is refused.
    pub expires_at: DateTime<Utc>,
}

impl Draft {
    /// Numbers the steps and adds what a changeset carries about the catalog it was made from.
    pub fn into_changeset(
        mut self,
        server: &Server,
        now: DateTime<Utc>,
        heading: &Heading<'_>,
        basis: impl Fn(&QualifiedName) -> Basis,
    ) -> Changeset {
        for (at, step) in self.steps.iter_mut().enumerate() {
            let id = u32::try_from(at + 1).unwrap_or(u32::MAX);
            // Planners write `after` as a distance back, because they do not know their place yet.
            step.after = step.after.map(|back| id.saturating_sub(back));
            step.id = id;
        }
        let mut tables: Vec<&QualifiedName> = self.steps.iter().map(|step| &step.table).collect();
        tables.sort();
        tables.dedup();
        let basis = tables.into_iter().map(basis).collect();
        Changeset {
            format: FORMAT.to_owned(),
            command: heading.command.to_owned(),
            target: heading.target.to_owned(),
            database: server.database.clone(),
            server_version_num: server.version_num,
            as_of: now,
            created_at: heading.created_at,
            expires_at: heading.expires_at,
            basis,
            steps: self.steps,
            refusals: self.refusals,
            notes: self.notes,
        }
    }
}

/// Returns the structural facts of a table and of the tables detached from it.
pub fn basis_of(catalog: &Catalog, table: &QualifiedName) -> Basis {
    let mut facts: Vec<String> = catalog
        .tables
        .iter()
        .filter(|found| found.name == *table)
        .flat_map(fingerprint::facts)
        .collect();
    for detached in &catalog.detached {
        if super::mark::read(&detached.mark).is_some_and(|mark| mark.parent == *table) {
            facts.extend(fingerprint::facts_detached(detached));
        }
    }
    // What new tables start with depends on who creates them.
    facts.push(format!(
        "run as {}",
        crate::ident::quote_if_needed(&catalog.server.role)
    ));
    facts.extend(catalog.default_grants.iter().map(|default| {
        let grantee = default.grant.grantee.as_deref().unwrap_or("PUBLIC");
        let schema = default.schema.as_deref().unwrap_or("(every schema)");
        format!(
            "default grant in {schema}: {} to {grantee}",
            default.grant.privilege
        )
    }));
    facts.sort();
    Basis {
        subject: Subject::Partitions,
        table: table.clone(),
        fingerprint: fingerprint::fingerprint(&facts),
        facts,
    }
}

/// A declared table that can be served.
#[derive(Debug, Clone)]
pub struct Managed<'a> {
    /// Its policy.
    pub policy: &'a PartitionPolicy,
    /// What the catalog says.
    pub table: &'a PartitionedTable,
    /// The calendar of its partitions.
    pub calendar: Calendar,
    /// Name of the first key column.
    pub column: &'a str,
    /// Range partitions with their bounds, by lower bound; DEFAULT is not among them.
    pub ranges: Vec<Ranged<'a>>,
}

/// A range partition with its bounds on the axis.
#[derive(Debug, Clone, Copy)]
pub struct Ranged<'a> {
    /// The partition.
    pub partition: &'a Partition,
    /// Lower bound, inclusive.
    pub from: Bound,
    /// Upper bound, exclusive.
    pub to: Bound,
}

impl Managed<'_> {
    /// Schema that new partitions are created in.
    pub fn child_schema(&self) -> &str {
        self.policy
            .schema
            .as_deref()
            .unwrap_or(&self.table.name.schema)
    }

    /// Lock budget of this table.
    pub fn budget(&self, inputs: Inputs<'_>) -> LockBudget {
        self.policy.lock_budget.unwrap_or(inputs.budget)
    }
}

/// Writes a bound as the server does, without quotes.
pub fn bound_text(axis: Axis, bound: Bound) -> String {
    match bound {
        Bound::Min => "MINVALUE".to_owned(),
        Bound::Value(value) => axis.literal(value),
        Bound::Max => "MAXVALUE".to_owned(),
    }
}

/// Finds a policy's table and reads its key and bounds.
///
/// # Errors
/// The refusal that says why the table cannot be served.
pub fn managed<'a>(
    policy: &'a PartitionPolicy,
    catalog: &'a Catalog,
) -> Result<Managed<'a>, Box<Refusal>> {
    let refuse = |code: &str, message: String, remedy: Vec<String>| {
        Box::new(refusal(policy, code, message, remedy))
    };
    let Some(table) = catalog
        .tables
        .iter()
        .find(|table| table.name == policy.table)
    else {
        return Err(Box::new(match catalog.others.iter().find(|other| other.name == policy.table) {
            Some(other) => not_partitioned(policy, other),
            None => refusal(
                policy,
                "table-not-found",
                format!("there is no table {} in database {}", policy.table, catalog.server.database),
                vec![
                    "check the schema and the quoting: names with capitals need double quotes, public.\"Event\"".to_owned(),
                ],
            ),
        }));
    };
    if table.strategy != Strategy::Range {
        let strategy = match table.strategy {
            Strategy::List => "LIST".to_owned(),
            Strategy::Hash => "HASH".to_owned(),
            Strategy::Range => "RANGE".to_owned(),
            Strategy::Other(letter) => format!("strategy `{letter}`"),
        };
        return Err(refuse(
            "not-range",
            format!("{} is partitioned by {strategy}; periods need PARTITION BY RANGE", table.name),
            vec!["take the policy out of the plan file, or partition the table by range of its time column".to_owned()],
        ));
    }
    let Some(key) = table.key.first() else {
        return Err(refuse(
            "unreadable-key",
            format!("the partition key of {} cannot be read", table.name),
            vec![],
        ));
    };
    let Some(column) = key.column.as_deref() else {
        return Err(refuse(
            "expression-key",
            format!(
                "{} is partitioned by the expression {}; dbops manages plain columns",
                table.name,
                key.expression.as_deref().unwrap_or("(unknown)")
            ),
            vec![
                "partition by the column itself: ranges on the column give the same pruning"
                    .to_owned(),
            ],
        ));
    };
    if let Some(expected) = &policy.column
        && expected != column
    {
        return Err(refuse(
            "other-column",
            format!(
                "{} is partitioned by {column}, the plan file expects {expected}",
                table.name
            ),
            vec![format!("write `column: {column}`, or leave `column` out")],
        ));
    }
    let axis = Axis::for_column(&key.type_name, policy.key).map_err(|why| {
        refuse(
            "key-type",
            format!("key column {column} of {}: {why}", table.name),
            vec![],
        )
    })?;
    let calendar = Calendar {
        period: policy.every,
        axis,
        zone: policy.time_zone,
    };
    calendar.check().map_err(|why| {
        refuse(
            "impossible-period",
            format!("{}: {why}", table.name),
            vec![],
        )
    })?;
    Ok(Managed {
        policy,
        table,
        calendar,
        column,
        ranges: ranges(policy, table, axis)?,
    })
}

fn ranges<'a>(
    policy: &PartitionPolicy,
    table: &'a PartitionedTable,
    axis: Axis,
) -> Result<Vec<Ranged<'a>>, Box<Refusal>> {
    let mut ranges = Vec::with_capacity(table.partitions.len());
    for partition in &table.partitions {
        let spec = parse_bound(&partition.bound);
        if spec == BoundSpec::Default {
            continue;
        }
        let (from, to) = range_on(axis, &spec).map_err(|why| {
            Box::new(Refusal {
                relation: Some(partition.name.clone()),
                ..refusal(
                    policy,
                    "unreadable-bound",
                    format!("the bound of {} cannot be used: {why} ({})", partition.name, partition.bound),
                    vec![
                        "dbops changes nothing on a table with a bound that it cannot place exactly".to_owned(),
                        format!("detach {} or give it a bound on the first key column alone", partition.name),
                    ],
                )
            })
        })?;
        ranges.push(Ranged {
            partition,
            from,
            to,
        });
    }
    ranges
        .sort_by(|a, b| (a.from, a.to, &a.partition.name).cmp(&(b.from, b.to, &b.partition.name)));
    Ok(ranges)
}

/// Makes a refusal about the policy's table.
pub fn refusal(
    policy: &PartitionPolicy,
    code: &str,
    message: String,
    remedy: Vec<String>,
) -> Refusal {
    Refusal {
        code: code.to_owned(),
        table: policy.table.clone(),
        relation: None,
        message,
        remedy,
        origin: policy.origin.clone(),
    }
}

/// Refuses what needs ownership when the role has none.
///
/// # Errors
/// The refusal with the statements that give the rights.
pub fn check_rights(
    managed: &Managed<'_>,
    catalog: &Catalog,
    creating: bool,
) -> Result<(), Box<Refusal>> {
    let table = managed.table;
    let role = &catalog.server.role;
    if !table.rights.owns {
        return Err(Box::new(refusal(
            managed.policy,
            "missing-privilege",
            format!(
                "role {role} does not own {} and is not a member of its owner {}",
                table.name, table.owner
            ),
            vec![format!(
                "grant {} to {};",
                quote_ident(&table.owner),
                quote_ident(role)
            )],
        )));
    }
    let schema = managed.child_schema();
    if creating && !table.rights.creates_in.iter().any(|found| found == schema) {
        return Err(Box::new(refusal(
            managed.policy,
            "missing-privilege",
            format!(
                "role {role} may not create tables in schema {schema}, or the schema does not exist"
            ),
            vec![format!(
                "grant usage, create on schema {} to {};",
                quote_ident(schema),
                quote_ident(role)
            )],
        )));
    }
    Ok(())
}

/// Says what a declared table is when it is not partitioned, and what its primary key must become.
fn not_partitioned(policy: &PartitionPolicy, other: &OtherRelation) -> Refusal {
    let mut remedy = Vec::new();
    let mut message = format!(
        "{} is a {}, not a partitioned table",
        other.name, other.kind
    );
    let column = policy
        .column
        .clone()
        .or_else(|| guess_column(&other.columns));
    if let (Some(column), "table") = (&column, other.kind.as_str()) {
        for unique in other
            .uniques
            .iter()
            .filter(|unique| !has_column(unique, column))
        {
            let kind = if unique.primary {
                "primary key"
            } else {
                "unique constraint"
            };
            message.push_str(&format!(
                "; its {kind} {} ({}) lacks {column}, so PostgreSQL would refuse PARTITION BY RANGE ({column})",
                unique.name,
                columns_text(unique)
            ));
            let columns: Vec<String> = unique
                .columns
                .iter()
                .flatten()
                .chain(std::iter::once(column))
                .map(|name| crate::ident::quote_if_needed(name))
                .collect();
            let clause = if unique.primary {
                "PRIMARY KEY"
            } else {
                "UNIQUE"
            };
            remedy.push(format!(
                "declare {clause} ({}) on the partitioned table",
                columns.join(", ")
            ));
        }
        remedy.push(format!(
            "create it with PARTITION BY RANGE ({}) and move the rows, then run ensure again",
            crate::ident::quote_if_needed(column)
        ));
    } else {
        remedy
            .push("take the policy out of the plan file, or name the partitioned table".to_owned());
    }
    refusal(policy, "not-partitioned", message, remedy)
}

fn has_column(unique: &Unique, column: &str) -> bool {
    unique.columns.iter().flatten().any(|found| found == column)
}

fn columns_text(unique: &Unique) -> String {
    let columns: Vec<String> = unique
        .columns
        .iter()
        .map(|column| {
            column
                .as_deref()
                .map_or_else(|| "expression".to_owned(), crate::ident::quote_if_needed)
        })
        .collect();
    columns.join(", ")
}

/// The only date or timestamp column, where there is just one: nothing is guessed among several.
fn guess_column(columns: &[Column]) -> Option<String> {
    let mut found = columns
        .iter()
        .filter(|column| column.type_name == "date" || column.type_name.starts_with("timestamp"));
    match (found.next(), found.next()) {
        (Some(column), None) => Some(column.name.clone()),
        _ => None,
    }
}
