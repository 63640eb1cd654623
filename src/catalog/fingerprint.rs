//! Structural facts as sorted lines, their fingerprint and their difference; never a statistic.

use sha2::{Digest, Sha256};

use super::model::{
    Column, DetachedTable, ForeignKey, KeyColumn, PartitionedTable, Properties, ReplicaIdentity,
    Unique,
};
use crate::ident::quote_if_needed;

/// Returns the structural facts of a table, sorted, one a line.
///
/// Estimates, sizes and what the current role may do are no part of them: a changeset made by one
/// person is applied by another, and rows come and go in between.
pub fn facts(table: &PartitionedTable) -> Vec<String> {
    let mut facts = vec![
        format!("table {} oid {}", table.name, table.oid),
        format!("owner {}", quote_if_needed(&table.owner)),
        format!("strategy {:?}", table.strategy),
    ];
    if let Some(parent) = &table.parent {
        facts.push(format!("partition of {parent}"));
    }
    facts.extend(numbered(&table.key).map(|(n, key)| format!("key {n} {}", key_words(key))));
    facts.extend(table.partitions.iter().map(|partition| {
        format!(
            "partition {} oid {} kind {:?} {}{}{}",
            partition.name,
            partition.oid,
            partition.kind,
            partition.bound,
            flag(partition.detach_pending, " detach pending"),
            partition
                .comment
                .as_ref()
                .map(|comment| format!(" comment {comment}"))
                .unwrap_or_default(),
        )
    }));
    facts.extend(
        numbered(&table.columns).map(|(n, column)| format!("column {n} {}", column_words(column))),
    );
    facts.extend(table.uniques.iter().map(unique_words));
    facts.extend(foreign_key_facts(
        &table.foreign_keys_out,
        &table.foreign_keys_in,
    ));
    facts.extend(property_facts(&table.properties));
    sorted(facts)
}

/// Returns the structural facts of a table that dbops detached, sorted, one a line.
pub fn facts_detached(table: &DetachedTable) -> Vec<String> {
    let mut facts = vec![
        format!("detached table {} oid {}", table.name, table.oid),
        format!("comment {}", table.mark),
    ];
    facts.extend(foreign_key_facts(
        &table.foreign_keys_out,
        &table.foreign_keys_in,
    ));
    facts.extend(
        table
            .dependents
            .iter()
            .map(|words| format!("dependent {words}")),
    );
    sorted(facts)
}

/// Returns the SHA-256 of the facts, hexadecimal.
pub fn fingerprint(facts: &[String]) -> String {
    let mut hash = Sha256::new();
    for fact in facts {
        hash.update(fact.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Returns what differs between two sorted lists of facts: `- ` lines went away, `+ ` lines are new,
/// in the order of the facts.
pub fn difference(old: &[String], new: &[String]) -> Vec<String> {
    let mut lines: Vec<(&String, char)> = Vec::new();
    lines.extend(missing(old, new).map(|fact| (fact, '-')));
    lines.extend(missing(new, old).map(|fact| (fact, '+')));
    lines.sort_by_key(|(fact, sign)| (*fact, *sign == '+'));
    lines
        .into_iter()
        .map(|(fact, sign)| format!("{sign} {fact}"))
        .collect()
}

fn missing<'a>(from: &'a [String], other: &[String]) -> impl Iterator<Item = &'a String> {
    let other: std::collections::HashSet<&String> = other.iter().collect();
    from.iter().filter(move |fact| !other.contains(fact))
}

fn numbered<T>(list: &[T]) -> impl Iterator<Item = (usize, &T)> {
    (1..).zip(list)
}

fn sorted(facts: Vec<String>) -> Vec<String> {
    lines(&facts)
}

/// Returns facts as they are compared: each on one line, sorted.
pub(crate) fn lines(facts: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = facts.iter().map(|fact| one_line(fact)).collect();
    lines.sort();
    lines
}

/// Names, comments and expressions may hold line breaks; a fact is one line all the same.
fn one_line(fact: &str) -> String {
    if !fact.chars().any(|c| c.is_control() || c == '\\') {
        return fact.to_owned();
    }
    fact.chars()
        .flat_map(|c| {
            let escape = c.is_control() || c == '\\';
            let escaped: Box<dyn Iterator<Item = char>> = if escape {
                Box::new(c.escape_default())
            } else {
                Box::new(std::iter::once(c))
            };
            escaped
        })
        .collect()
}

fn flag(on: bool, words: &'static str) -> &'static str {
    if on { words } else { "" }
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| quote_if_needed(name))
        .collect();
    quoted.join(", ")
}

fn key_words(key: &KeyColumn) -> String {
    let what = match (&key.column, &key.expression) {
        (Some(column), _) => quote_if_needed(column),
        (None, Some(expression)) => format!("({expression})"),
        (None, None) => "unknown".to_owned(),
    };
    format!("{what} {}", key.type_name)
}

fn column_words(column: &Column) -> String {
    let mut words = format!(
        "{} {}{}",
        quote_if_needed(&column.name),
        column.type_name,
        flag(column.not_null, " not null")
    );
    if !column.identity.is_empty() {
        words.push_str(&format!(" identity {}", column.identity));
    }
    if let Some(target) = column.statistics_target {
        words.push_str(&format!(" statistics {target}"));
    }
    if !column.options.is_empty() {
        words.push_str(&format!(" with ({})", column.options.join(", ")));
    }
    words
}

fn unique_words(unique: &Unique) -> String {
    let columns: Vec<String> = unique
        .columns
        .iter()
        .map(|column| match column {
            Some(column) => quote_if_needed(column),
            None => "(expression)".to_owned(),
        })
        .collect();
    format!(
        "{} {} ({})",
        if unique.primary {
            "primary key"
        } else {
            "unique"
        },
        quote_if_needed(&unique.name),
        columns.join(", ")
    )
}

fn foreign_key_facts(out: &[ForeignKey], incoming: &[ForeignKey]) -> Vec<String> {
    let words = |key: &ForeignKey, side: &str| {
        format!(
            "foreign key {} ({}) {side} {}{} ({})",
            quote_if_needed(&key.name),
            names(&key.columns),
            flag(key.partitioned, "partitioned "),
            key.table,
            names(&key.referenced_columns),
        )
    };
    let out = out.iter().map(|key| words(key, "to"));
    let incoming = incoming.iter().map(|key| words(key, "from"));
    out.chain(incoming).collect()
}

fn property_facts(properties: &Properties) -> Vec<String> {
    let mut facts = Vec::new();
    let mut named = |what: &str, value: &Option<String>| {
        facts.extend(value.as_ref().map(|value| format!("{what} {value}")));
    };
    named("tablespace", &properties.tablespace);
    named("access method", &properties.access_method);
    named("comment", &properties.comment);
    facts.push(match &properties.replica_identity {
        ReplicaIdentity::Default => "replica identity default".to_owned(),
        ReplicaIdentity::Full => "replica identity full".to_owned(),
        ReplicaIdentity::Nothing => "replica identity nothing".to_owned(),
        ReplicaIdentity::Index(index) => format!("replica identity index {index}"),
        ReplicaIdentity::Other(letter) => format!("replica identity {letter}"),
    });
    let flags = [
        (properties.row_security, "row security"),
        (properties.force_row_security, "row security forced"),
        (properties.unlogged, "unlogged"),
    ];
    facts.extend(
        flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, words)| (*words).to_owned()),
    );
    let role = |role: &Option<String>| {
        role.as_ref()
            .map_or_else(|| "PUBLIC".to_owned(), |role| quote_if_needed(role))
    };
    for policy in &properties.row_policies {
        let roles: Vec<String> = policy.roles.iter().map(role).collect();
        facts.push(format!(
            "policy {} {} for {} to {}{}{}",
            quote_if_needed(&policy.name),
            if policy.permissive {
                "permissive"
            } else {
                "restrictive"
            },
            policy.command,
            roles.join(", "),
            policy
                .using
                .as_ref()
                .map(|text| format!(" using {text}"))
                .unwrap_or_default(),
            policy
                .check
                .as_ref()
                .map(|text| format!(" with check {text}"))
                .unwrap_or_default(),
        ));
    }
    for grant in properties.grants.iter().flatten() {
        facts.push(format!(
            "grant {}{} to {}{}",
            grant.privilege,
            grant
                .column
                .as_ref()
                .map(|column| format!(" ({})", quote_if_needed(column)))
                .unwrap_or_default(),
            role(&grant.grantee),
            flag(grant.grantable, " with grant option"),
        ));
    }
    if properties.grants.is_none() {
        facts.push("grants default".to_owned());
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn difference_shows_what_went_and_what_came_in_the_order_of_the_facts() {
        let old = lines(&["a", "b", "d 1"]);
        let new = lines(&["a", "c", "d 2"]);
        assert_eq!(difference(&old, &new), ["- b", "+ c", "- d 1", "+ d 2"]);
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn a_fact_is_one_line_whatever_a_name_holds() {
        assert_eq!(one_line("a\nb\\c"), "a\\nb\\\\c");
        assert_eq!(one_line("größe"), "größe");
    }

    #[test]
    fn the_fingerprint_tells_two_lines_from_one() {
        assert_ne!(
            fingerprint(&lines(&["a", "b"])),
            fingerprint(&lines(&["a b"]))
        );
        assert_eq!(fingerprint(&[]).len(), 64);
    }
}
