//! The statements that create and attach a partition equal to its parent in all that PostgreSQL
//! itself does not copy.
//!
//! CREATE TABLE (LIKE …) takes ACCESS SHARE on the parent and ATTACH takes SHARE UPDATE EXCLUSIVE;
//! CREATE TABLE … PARTITION OF would take ACCESS EXCLUSIVE.
//! Source: <https://www.postgresql.org/docs/current/sql-altertable.html>, ATTACH PARTITION.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::catalog::{Catalog, Grant, PartitionedTable, ReplicaIdentity, RowPolicy};
use crate::ident::{QualifiedName, quote_ident, quote_literal};
use crate::plan_file::{PartitionPolicy, SubPartitions};

/// What a new partition is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mould<'a> {
    pub(super) policy: &'a PartitionPolicy,
    pub(super) table: &'a PartitionedTable,
    pub(super) catalog: &'a Catalog,
}

/// Returns the statements that create `child` as a copy of the parent and give it the parent's
/// properties, without attaching it.
pub(super) fn create(mould: Mould<'_>, child: &QualifiedName) -> Vec<String> {
    let Mould { policy, table, .. } = mould;
    let mut sql = format!(
        "create table {} (like {} including all excluding identity)",
        child.sql(),
        table.name.sql()
    );
    match &policy.sub {
        None => sql.push_str(&storage_clauses(mould)),
        Some(SubPartitions::Hash { columns, .. }) => {
            let key: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
            sql.push_str(&format!(" partition by hash ({})", key.join(", ")));
        }
        Some(SubPartitions::List { column, .. }) => {
            sql.push_str(&format!(" partition by list ({})", quote_ident(column)));
        }
    }
    if policy.sub.is_some() {
        sql.push_str(&tablespace_clause(mould));
    }
    let mut statements = vec![sql];
    statements.extend(follow(mould, child));
    for (leaf, bound) in leaves(policy.sub.as_ref(), child) {
        statements.push(format!(
            "create table {} partition of {} {bound}{}",
            leaf.sql(),
            child.sql(),
            storage_clauses(mould)
        ));
        statements.extend(follow(mould, &leaf));
    }
    statements
}

/// Returns the leaves that a new partition gets, each with its bound.
pub(super) fn leaves(
    sub: Option<&SubPartitions>,
    partition: &QualifiedName,
) -> Vec<(QualifiedName, String)> {
    let mut leaves = Vec::new();
    match sub {
        None => {}
        Some(SubPartitions::Hash { modulus, .. }) => {
            leaves.extend((0..*modulus).map(|remainder| {
                let bound = format!("for values with (modulus {modulus}, remainder {remainder})");
                (format!("h{remainder}"), bound)
            }))
        }
        Some(SubPartitions::List {
            values, default, ..
        }) => {
            leaves.extend(values.iter().map(|(suffix, values)| {
                let values: Vec<String> = values.iter().map(|value| quote_literal(value)).collect();
                let bound = format!("for values in ({})", values.join(", "));
                (suffix.clone(), bound)
            }));
            if *default {
                leaves.push(("default".to_owned(), "default".to_owned()));
            }
        }
    }
    leaves
        .into_iter()
        .map(|(suffix, bound)| {
            let name = names::leaf_name(&partition.name, &suffix);
            (QualifiedName::new(partition.schema.clone(), name), bound)
        })
        .collect()
}

/// Returns the statements that give an empty table left by an interrupted run what the parent has:
/// whatever it was granted or protected by before goes.
pub(super) fn follow_anew(mould: Mould<'_>, orphan: &QualifiedName) -> Vec<String> {
    let name = orphan.sql();
    let owner = quote_ident(&mould.table.owner);
    let mut statements = vec![
        format!("alter table only {name} owner to {owner}"),
        do_block(&format!(
            "\ndeclare grantee text;\nbegin\n  for grantee in\n    \
             select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end\n    \
             from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a\n    \
             where c.oid = {literal}::pg_catalog.regclass and a.grantee <> c.relowner\n  \
             loop\n    execute 'revoke all on table ' || {literal} || ' from ' || grantee || ' cascade';\n  end loop;\nend\n",
            literal = quote_literal(&name),
        )),
    ];
    statements.extend(mould.table.properties.row_policies.iter().map(|policy| {
        format!(
            "drop policy if exists {} on {name}",
            quote_ident(&policy.name)
        )
    }));
    statements.extend(follow(mould, orphan));
    statements
}

/// Returns the statement that attaches `child`, and what can only be set once it is attached.
///
/// `from` and `to` are the literals of the first key column; further columns are MINVALUE on both
/// sides, which makes the range exact on the first.
pub(super) fn attach(mould: Mould<'_>, child: &QualifiedName, from: &str, to: &str) -> Vec<String> {
    let Mould { policy, table, .. } = mould;
    let rest = ", minvalue".repeat(table.key.len().saturating_sub(1));
    let mut statements = vec![format!(
        "alter table only {} attach partition {} for values from ({}{rest}) to ({}{rest})",
        table.name.sql(),
        child.sql(),
        quote_literal(from),
        quote_literal(to)
    )];
    let leaves = leaves(policy.sub.as_ref(), child);
    for table_name in std::iter::once(child).chain(leaves.iter().map(|(leaf, _)| leaf)) {
        if let ReplicaIdentity::Index(index) = &table.properties.replica_identity {
            statements.push(replica_identity_index(table_name, index));
        }
        statements.extend(row_security(mould, table_name));
    }
    statements
}

/// Row security comes after the attach: forced, it would keep a mere member of the owner from
/// checking the foreign keys of the new partition, empty as it is.
fn row_security(mould: Mould<'_>, child: &QualifiedName) -> Option<String> {
    let properties = &mould.table.properties;
    let mut alter = Vec::new();
    if properties.row_security {
        alter.push("enable row level security");
    }
    if properties.force_row_security {
        alter.push("force row level security");
    }
    (!alter.is_empty()).then(|| format!("alter table only {} {}", child.sql(), alter.join(", ")))
}

/// The child's index has a name that the server chose, so it is looked up when the statement runs.
fn replica_identity_index(child: &QualifiedName, parent_index: &QualifiedName) -> String {
    let body = format!(
        "\ndeclare child_index text;\nbegin\n  \
         select c.relname into strict child_index\n    \
         from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid\n    \
         where {}::pg_catalog.regclass in (select a.relid from pg_catalog.pg_partition_ancestors(x.indexrelid) a)\n      \
         and x.indrelid = {}::pg_catalog.regclass;\n  \
         execute pg_catalog.format('alter table {} replica identity using index %I', child_index);\nend\n",
        quote_literal(&parent_index.sql()),
        quote_literal(&child.sql()),
        child.sql().replace('%', "%%").replace('\'', "''"),
    );
    do_block(&body)
}

/// Wraps PL/pgSQL in DO with a dollar quote that the body does not contain.
pub(super) fn do_block(body: &str) -> String {
    let mut tag = "$dbops$".to_owned();
    while body.contains(&tag) {
        tag.insert(tag.len() - 1, 'x');
    }
    format!("do {tag}{body}{tag}")
}

fn storage_clauses(mould: Mould<'_>) -> String {
    let mut clauses = String::new();
    if let Some(method) = &mould.table.properties.access_method {
        clauses.push_str(&format!(" using {}", quote_ident(method)));
    }
    if !mould.policy.with.is_empty() {
        let options: Vec<String> = mould
            .policy
            .with
            .iter()
            .map(|(name, value)| {
                // `toast.autovacuum_enabled` is two identifiers.
                let name: Vec<String> = name.split('.').map(quote_ident).collect();
                format!("{} = {}", name.join("."), quote_literal(value))
            })
            .collect();
        clauses.push_str(&format!(" with ({})", options.join(", ")));
    }
    clauses.push_str(&tablespace_clause(mould));
    clauses
}

fn tablespace_clause(mould: Mould<'_>) -> String {
    match mould
        .policy
        .tablespace
        .as_ref()
        .or(mould.table.properties.tablespace.as_ref())
    {
        Some(tablespace) => format!(" tablespace {}", quote_ident(tablespace)),
        None => String::new(),
    }
}

/// Returns the statements that give a new table the parent's owner, grants, row security, comment,
/// column settings and replica identity.
fn follow(mould: Mould<'_>, child: &QualifiedName) -> Vec<String> {
    let Mould { table, catalog, .. } = mould;
    let properties = &table.properties;
    let name = child.sql();
    let mut statements = Vec::new();
    let mut alter = Vec::new();
    for column in &table.columns {
        if let Some(target) = column.statistics_target {
            alter.push(format!(
                "alter column {} set statistics {target}",
                quote_ident(&column.name)
            ));
        }
        if !column.options.is_empty() {
            let options: Vec<String> = column
                .options
                .iter()
                .filter_map(|option| option.split_once('='))
                .map(|(name, value)| format!("{} = {}", quote_ident(name), quote_literal(value)))
                .collect();
            alter.push(format!(
                "alter column {} set ({})",
                quote_ident(&column.name),
                options.join(", ")
            ));
        }
    }
    match properties.replica_identity {
        ReplicaIdentity::Full => alter.push("replica identity full".to_owned()),
        ReplicaIdentity::Nothing => alter.push("replica identity nothing".to_owned()),
        ReplicaIdentity::Default | ReplicaIdentity::Index(_) | ReplicaIdentity::Other(_) => {}
    }
    if !alter.is_empty() {
        statements.push(format!("alter table only {name} {}", alter.join(", ")));
    }
    statements.extend(
        properties
            .row_policies
            .iter()
            .map(|policy| row_policy(&name, policy)),
    );
    if let Some(comment) = &properties.comment {
        statements.push(format!(
            "comment on table {name} is {}",
            quote_literal(comment)
        ));
    }
    if table.owner != catalog.server.role {
        statements.push(format!(
            "alter table only {name} owner to {}",
            quote_ident(&table.owner)
        ));
    }
    statements.extend(grants(mould, child));
    statements
}

fn row_policy(table: &str, policy: &RowPolicy) -> String {
    let roles: Vec<String> = policy
        .roles
        .iter()
        .map(|role| role_sql(role.as_deref()))
        .collect();
    let mut sql = format!(
        "create policy {} on {table} as {} for {} to {}",
        quote_ident(&policy.name),
        if policy.permissive {
            "permissive"
        } else {
            "restrictive"
        },
        policy.command.to_lowercase(),
        roles.join(", ")
    );
    if let Some(using) = &policy.using {
        sql.push_str(&format!(" using ({using})"));
    }
    if let Some(check) = &policy.check {
        sql.push_str(&format!(" with check ({check})"));
    }
    sql
}

/// Returns REVOKE and GRANT statements after which the child's privileges are the parent's.
///
/// A new table starts with the owner's own privileges and with what ALTER DEFAULT PRIVILEGES gives,
/// which need not be what the parent has.
fn grants(mould: Mould<'_>, child: &QualifiedName) -> Vec<String> {
    let Mould { table, catalog, .. } = mould;
    let name = child.sql();
    let mut statements = Vec::new();
    let by_default: BTreeSet<Option<&str>> = catalog
        .default_grants
        .iter()
        .filter(|default| {
            default
                .schema
                .as_ref()
                .is_none_or(|schema| *schema == child.schema)
        })
        .map(|default| default.grant.grantee.as_deref())
        .filter(|grantee| *grantee != Some(table.owner.as_str()))
        .collect();
    for grantee in by_default {
        statements.push(format!(
            "revoke all on table {name} from {}",
            role_sql(grantee)
        ));
    }
    let Some(grants) = &table.properties.grants else {
        return statements;
    };
    let owner_keeps = grants
        .iter()
        .filter(|grant| {
            grant.column.is_none() && grant.grantee.as_deref() == Some(table.owner.as_str())
        })
        .count();
    let owner_starts_with = owner_privileges(catalog.server.version_num);
    if owner_keeps < owner_starts_with {
        statements.push(format!(
            "revoke all on table {name} from {}",
            quote_ident(&table.owner)
        ));
    }
    for (target, privileges) in grouped(grants) {
        if target.grantee == Some(table.owner.as_str())
            && target.column.is_none()
            && owner_keeps >= owner_starts_with
        {
            continue;
        }
        let privileges: Vec<String> = privileges
            .iter()
            .map(|privilege| match target.column {
                Some(column) => format!("{} ({})", privilege.to_lowercase(), quote_ident(column)),
                None => privilege.to_lowercase(),
            })
            .collect();
        statements.push(format!(
            "grant {} on table {name} to {}{}",
            privileges.join(", "),
            role_sql(target.grantee),
            if target.grantable {
                " with grant option"
            } else {
                ""
            }
        ));
    }
    statements
}

/// How many table privileges an owner starts with: MAINTAIN came with 17.
const fn owner_privileges(version_num: i32) -> usize {
    if version_num >= 170_000 { 8 } else { 7 }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct GrantTarget<'a> {
    column: Option<&'a str>,
    grantee: Option<&'a str>,
    grantable: bool,
}

fn grouped(grants: &[Grant]) -> BTreeMap<GrantTarget<'_>, BTreeSet<&str>> {
    let mut groups: BTreeMap<GrantTarget<'_>, BTreeSet<&str>> = BTreeMap::new();
    for grant in grants {
        let target = GrantTarget {
            column: grant.column.as_deref(),
            grantee: grant.grantee.as_deref(),
            grantable: grant.grantable,
        };
        groups.entry(target).or_default().insert(&grant.privilege);
    }
    groups
}

fn role_sql(role: Option<&str>) -> String {
    role.map_or_else(|| "public".to_owned(), quote_ident)
}
