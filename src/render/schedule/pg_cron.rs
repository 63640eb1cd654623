//! A self-contained SQL script that creates partitions from inside the server, by pg_cron: for
//! clusters where nothing outside may run. Only creates, never prunes.

use crate::changes::names;
use crate::ident::{quote_ident, quote_literal};
use crate::plan_file::policy::parse_start;
use crate::plan_file::{CalendarSpan, KeyEncoding, LockBudget, PartitionPolicy, SpanUnit};

use super::When;

const FUNCTIONS: &str = include_str!("../../../sql/schedule/pg_cron.sql");
const CALL: &str = "call dbops_schedule.ensure_partitions()";

/// What the script is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Script<'a> {
    /// The policies; none of them may be in [`inexpressible`].
    pub policies: &'a [PartitionPolicy],
    /// Lock budget of the plan file.
    pub budget: LockBudget,
    /// When the job runs.
    pub when: &'a When,
    /// Whether the job is scheduled by the script.
    pub job: Job,
}

/// Whether the script ends by scheduling the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// `cron.schedule` is called.
    Schedule,
    /// The procedure is made, nothing calls it.
    Leave,
}

/// Returns what the server alone cannot do for these policies, one line each with its place.
pub fn inexpressible(policies: &[PartitionPolicy]) -> Vec<String> {
    policies
        .iter()
        .filter(|policy| policy.sub.is_some())
        .map(|policy| {
            format!(
                "{}:{}: `sub` of {} cannot be expressed in the pg_cron script",
                policy.origin.file, policy.origin.line, policy.table
            )
        })
        .collect()
}

/// Returns the script.
pub fn script(script: &Script<'_>) -> String {
    let rows: Vec<String> = script
        .policies
        .iter()
        .enumerate()
        .map(|(at, policy)| row(at + 1, policy, script.budget))
        .collect();
    format!(
        "-- dbops: creates missing PostgreSQL partitions from inside the server.\n\
         -- Run it in the database that holds the tables, as the role that owns them or a superuser:\n\
         --   psql -X -v ON_ERROR_STOP=1 -f FILE\n\
         -- Running it again replaces what it made before. It only creates; nothing here ever removes a\n\
         -- partition: `dbops partitions prune` does that. What was done: dbops_schedule.runs and outcomes.\n\
         \n\
         {FUNCTIONS}\
         insert into dbops_schedule.policies values\n{};\n\
         commit;\n{}",
        rows.join(",\n"),
        job(script)
    )
}

fn job(script: &Script<'_>) -> String {
    let call = format!("$${CALL}$$");
    let when = quote_literal(&script.when.to_string());
    let elsewhere = format!(
        "-- cron.schedule works in the database that cron.database_name names. For tables in another one,\n\
         -- run the part above there and this in cron.database_name:\n\
         --   select cron.schedule_in_database('dbops-partitions-NAME', {when}, {call}, 'NAME');\n"
    );
    match script.job {
        Job::Schedule => format!(
            "\n{elsewhere}\
             -- A job of the same name is replaced. pg_cron reads the time as UTC unless cron.timezone says otherwise.\n\
             select cron.schedule('dbops-partitions', {when}, {call});\n"
        ),
        Job::Leave => format!("\n-- {CALL}; creates what is missing now.\n{elsewhere}"),
    }
}

fn row(position: usize, policy: &PartitionPolicy, budget: LockBudget) -> String {
    let budget = policy.lock_budget.unwrap_or(budget);
    let template = policy
        .name
        .as_deref()
        .unwrap_or_else(|| names::default_template(policy.every));
    let (head, tail) = names::to_char_formats(template);
    let start = policy
        .start
        .as_deref()
        .and_then(|text| parse_start(text).ok());
    let place = format!("{}:{}", policy.origin.file, policy.origin.line);
    let child_schema = policy.schema.as_deref().unwrap_or(&policy.table.schema);
    let values = [
        position.to_string(),
        quote_literal(&place),
        quote_literal(&policy.table.schema),
        quote_literal(&policy.table.name),
        quote_literal(policy.every.name()),
        policy.premake.to_string(),
        quote_literal(policy.time_zone.name()),
        nullable(policy.key.map(key_name)),
        nullable(policy.column.as_deref()),
        nullable(
            start
                .map(|start| start.format("%Y-%m-%d %H:%M:%S%.f").to_string())
                .as_deref(),
        ),
        policy
            .retain
            .map_or("null".to_owned(), |retain| retain.count.to_string()),
        nullable(policy.retain.map(unit_name)),
        nullable(head.as_deref()),
        quote_literal(&tail),
        quote_literal(child_schema),
        nullable(policy.tablespace.as_deref()),
        quote_literal(&storage(policy)),
        budget.max_block.0.to_string(),
        budget.give_up_after.0.to_string(),
    ];
    format!("    ({})", values.join(", "))
}

fn storage(policy: &PartitionPolicy) -> String {
    if policy.with.is_empty() {
        return String::new();
    }
    let options: Vec<String> = policy
        .with
        .iter()
        .map(|(name, value)| {
            // `toast.autovacuum_enabled` is two identifiers.
            let name: Vec<String> = name.split('.').map(quote_ident).collect();
            format!("{} = {}", name.join("."), quote_literal(value))
        })
        .collect();
    format!(" with ({})", options.join(", "))
}

fn nullable(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), quote_literal)
}

fn key_name(key: KeyEncoding) -> &'static str {
    match key {
        KeyEncoding::EpochS => "epoch-s",
        KeyEncoding::EpochMs => "epoch-ms",
        KeyEncoding::EpochUs => "epoch-us",
        KeyEncoding::EpochNs => "epoch-ns",
        KeyEncoding::UuidV7 => "uuid-v7",
    }
}

fn unit_name(span: CalendarSpan) -> &'static str {
    match span.unit {
        SpanUnit::Hour => "hour",
        SpanUnit::Day => "day",
        SpanUnit::Week => "week",
        SpanUnit::Month => "month",
        SpanUnit::Quarter => "quarter",
        SpanUnit::Year => "year",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::{Source, parse};

    fn policies(entries: &str) -> Vec<PartitionPolicy> {
        let source = Source {
            path: "plans/a.yaml".into(),
            text: format!("version: 1\npartitions:\n{entries}"),
        };
        parse(&[source]).unwrap().plan.partitions
    }

    #[test]
    fn a_policy_is_a_row_and_the_job_is_replaced_by_name() {
        let policies = policies(
            "  - table: public.\"It's\"\n    every: week\n    retain: 8 weeks\n    time_zone: Europe/Madrid\n    with: { fillfactor: 90 }\n",
        );
        let when = "7 3 * * *".parse().unwrap();
        let mut wanted = Script {
            policies: &policies,
            budget: LockBudget::default(),
            when: &when,
            job: Job::Schedule,
        };
        let text = script(&wanted);
        assert!(text.contains(
            "    (1, 'plans/a.yaml:3', 'public', 'It''s', 'week', 3, 'Europe/Madrid', null, null, null, 8, 'week', '', \
             '\"_\"IYYY\"_w\"IW', 'public', null, ' with (\"fillfactor\" = ''90'')', 100, 60000);"
        ), "{}", &text[text.find("insert into dbops_schedule.policies values").unwrap()..]);
        assert!(text.ends_with(
            "select cron.schedule('dbops-partitions', '7 3 * * *', $$call dbops_schedule.ensure_partitions()$$);\n"
        ));
        wanted.job = Job::Leave;
        assert!(!script(&wanted).contains("\nselect cron."));
    }

    #[test]
    fn what_only_dbops_can_do_is_named_with_its_place() {
        let policies = policies(
            "  - table: public.a\n    every: day\n  - table: public.b\n    every: day\n    sub: { hash: { columns: [id], modulus: 4 } }\n",
        );
        assert_eq!(
            inexpressible(&policies),
            ["plans/a.yaml:5: `sub` of public.b cannot be expressed in the pg_cron script"]
        );
    }
}
