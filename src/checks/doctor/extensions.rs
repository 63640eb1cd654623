//! Extensions: what dbops would use, and who else maintains the same tables.

use super::{Check, Facts};
use crate::catalog::readiness::{Extension, Readiness};
use crate::ident::{QualifiedName, quote_literal};
use crate::sample::statements::unavailable::preload;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    vec![
        statements(facts.readiness),
        hypopg(facts.readiness),
        partman(facts),
    ]
}

fn find<'a>(readiness: &'a Readiness, name: &str) -> Option<&'a Extension> {
    readiness.extensions.iter().find(|found| found.name == name)
}

fn statements(readiness: &Readiness) -> Check {
    let (id, name) = ("pg-stat-statements", "pg_stat_statements");
    let why = "statement statistics come from it; partitions need nothing of it";
    let create = "create extension pg_stat_statements;";
    let preload = preload(readiness.preloaded.as_deref(), name);
    let installed = find(readiness, name).and_then(|found| found.installed.as_deref());
    let preloaded = readiness
        .preloaded
        .as_ref()
        .map(|list| list.split(',').any(|library| library.trim() == name));
    match (installed, preloaded) {
        (Some(version), Some(true)) => Check::ok(id, format!("version {version}, preloaded")),
        (Some(version), Some(false)) => {
            Check::warning(id, format!("version {version}, but not preloaded"))
                .why("without being preloaded its view only gives an error")
                .fix(preload)
        }
        (Some(version), None) => Check::unknown(
            id,
            format!("version {version}; whether it is preloaded is not shown to this role"),
        )
        .why(why)
        .fix("grant pg_read_all_settings to the role that dbops connects as"),
        (None, _) if find(readiness, name).is_none() => {
            Check::warning(id, "not available on this server")
                .why(why)
                .fix("install the package with PostgreSQL's contrib modules (postgresql-contrib on many systems)")
        }
        (None, preloaded) => {
            let check = Check::warning(id, "not installed in this database").why(why);
            match preloaded {
                Some(true) => check.fix(create),
                _ => check.fix(preload).fix(create),
            }
        }
    }
}

fn hypopg(readiness: &Readiness) -> Check {
    let id = "hypopg";
    // Nothing needs it: its absence is not worth a warning.
    match find(readiness, id) {
        Some(Extension {
            installed: Some(version),
            ..
        }) => Check::ok(id, format!("version {version}")),
        Some(_) => Check::ok(id, "available, not installed; nothing needs it"),
        None => Check::ok(id, "not available; nothing needs it"),
    }
}

fn partman(facts: Facts<'_>) -> Check {
    let id = "pg-partman";
    let why = "two masters: both create and drop partitions of one table, by different rules";
    let Some(managed) = &facts.readiness.partman_tables else {
        return Check::unknown(id, "installed; its configuration is closed to this role")
            .why(why)
            .fix("grant usage on its schema and select on its table part_config to the role that dbops connects as");
    };
    let declared =
        |table: &QualifiedName| facts.policies.iter().any(|policy| policy.table == *table);
    let both: Vec<&String> = managed
        .iter()
        .filter(|text| QualifiedName::parse(text).is_ok_and(|table| declared(&table)))
        .collect();
    if both.is_empty() {
        return Check::ok(
            id,
            match managed.len() {
                0 => "maintains no table here".to_owned(),
                count => format!("maintains {count} tables, none of them declared"),
            },
        );
    }
    let mut check = Check::warning(
        id,
        format!(
            "also maintains {}",
            both.iter()
                .map(|table| table.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    )
    .why(why);
    let schema = find(facts.readiness, "pg_partman")
        .and_then(|found| found.schema.as_deref())
        .unwrap_or("partman");
    for table in both {
        check = check.fix(format!(
            "delete from {}.part_config where parent_table = {};  -- the partitions stay",
            crate::ident::quote_ident(schema),
            quote_literal(table)
        ));
    }
    check
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::Case;
    use super::*;

    fn extension(name: &str, installed: bool) -> Extension {
        Extension {
            name: name.to_owned(),
            available: Some("1.0".to_owned()),
            installed: installed.then(|| "1.0".to_owned()),
            schema: installed.then(|| "tools".to_owned()),
            config_readable: None,
        }
    }

    #[test]
    fn statement_statistics_need_the_library_and_the_extension() {
        let mut case = Case::healthy();
        for (installed, preloaded, state) in [
            (true, Some("pg_cron, pg_stat_statements"), State::Ok),
            (true, Some("pg_cron"), State::Warning),
            (true, None, State::Unknown),
            (false, Some("pg_stat_statements"), State::Warning),
            (false, None, State::Warning),
        ] {
            case.readiness.extensions = vec![extension("pg_stat_statements", installed)];
            case.readiness.preloaded = preloaded.map(str::to_owned);
            assert_eq!(
                case.state("pg-stat-statements"),
                state,
                "{installed} {preloaded:?}"
            );
        }
        case.readiness.preloaded = Some("pg_cron, auto_explain".to_owned());
        assert_eq!(
            case.of("pg-stat-statements")[0].fix[0],
            "alter system set shared_preload_libraries = 'pg_cron', 'auto_explain', 'pg_stat_statements';  -- then restart"
        );
        case.readiness.extensions.clear();
        assert_eq!(case.state("pg-stat-statements"), State::Warning);
    }

    #[test]
    fn a_missing_hypopg_is_no_fault() {
        let mut case = Case::healthy();
        assert_eq!(case.state("hypopg"), State::Ok);
        case.readiness.extensions = vec![extension("hypopg", true)];
        assert_eq!(case.of("hypopg")[0].found, "version 1.0");
    }

    #[test]
    fn two_masters_of_a_table_are_a_warning() {
        let mut case = Case::healthy();
        case.readiness.extensions = vec![extension("pg_partman", true)];
        case.readiness.partman_tables = Some(vec!["public.other".to_owned()]);
        assert_eq!(case.state("pg-partman"), State::Ok);
        case.readiness.partman_tables = Some(vec!["public.events".to_owned()]);
        assert_eq!(case.state("pg-partman"), State::Warning);
        assert!(case.of("pg-partman")[0].fix[0].starts_with(
            "delete from \"tools\".part_config where parent_table = 'public.events';"
        ));
        case.readiness.partman_tables = None;
        assert_eq!(case.state("pg-partman"), State::Unknown);
    }
}
