//! A declared index against a live one: part by part from the catalog; expressions and predicates by what the
//! server made of them, never by their text alone.

use super::Declared;
use super::context::{Context, Live};
use super::folds::{self, Same};
use super::parameters::{self, ParameterChange};
use crate::catalog::index_model::{IndexedTable, LiveKey};
use crate::ident::{quote_ident, quote_if_needed};
use crate::syntax::{IndexSpec, KeySpec, KeyTarget, ObjectName};

/// What a live index is to the declared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// An index of an ordinary table or materialized view.
    Whole,
    /// The index of a partitioned table: no storage, no parameters that could be altered.
    Parent,
    /// A partition's index under it: no comment of its own; its tablespace may follow the partition.
    Partition,
}

/// What differs. Nothing of it: the index is as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// What only a new index can change, in words.
    pub(super) rebuild: Vec<String>,
    /// Storage parameters that ALTER INDEX sets and resets.
    pub(super) parameters: ParameterChange,
    /// The tablespace it should be in.
    pub(super) tablespace: Option<String>,
    /// The comment it should have.
    pub(super) comment: Option<String>,
    /// Statistics targets to set, by key position.
    pub(super) statistics: Vec<(i16, i16)>,
    /// Why it could not be compared in full.
    pub(super) unverified: Option<String>,
}

impl Comparison {
    /// Whether the index answers and enforces what the declared one does.
    pub(super) fn is_equivalent(&self) -> bool {
        self.rebuild.is_empty() && self.unverified.is_none()
    }

    /// Whether ALTER INDEX or COMMENT has something to do.
    pub(super) fn alters(&self) -> bool {
        !self.parameters.is_empty() || self.comment.is_some() || !self.statistics.is_empty()
    }

    /// Every difference in words.
    pub(super) fn words(&self, live: &Live<'_>) -> Vec<String> {
        let mut words = self.rebuild.clone();
        words.extend(self.parameters.words(&live.index.reloptions));
        words.extend(self.tablespace.as_ref().map(|tablespace| {
            format!(
                "tablespace is {}, declared {tablespace}",
                live.index
                    .tablespace
                    .as_deref()
                    .unwrap_or("that of the database")
            )
        }));
        words.extend(
            self.comment
                .as_ref()
                .map(|_| "its comment is another".to_owned()),
        );
        words.extend(self.statistics.iter().map(|(key, target)| {
            format!("statistics target of key {key} is not the declared {target}")
        }));
        words
    }
}

/// Compares a declared index with a live one.
pub(super) fn compare(
    context: &Context<'_>,
    declared: &Declared,
    live: &Live<'_>,
    part: Part,
) -> Comparison {
    let mut found = Comparison::default();
    let wanted = &declared.spec;
    let Some(spec) = &live.spec else {
        found.unverified = Some(format!(
            "its definition could not be read: {}",
            live.index.definition
        ));
        return found;
    };
    if wanted.method != spec.method {
        found.rebuild.push(format!(
            "access method is {}, declared {}",
            spec.method, wanted.method
        ));
    }
    if wanted.unique != spec.unique {
        let words = |unique| if unique { "unique" } else { "not unique" };
        found.rebuild.push(format!(
            "it is {}, declared {}",
            words(spec.unique),
            words(wanted.unique)
        ));
    } else if wanted.nulls_not_distinct != spec.nulls_not_distinct {
        let words = |equal| if equal { "not distinct" } else { "distinct" };
        found.rebuild.push(format!(
            "NULLs are {}, declared {}",
            words(spec.nulls_not_distinct),
            words(wanted.nulls_not_distinct)
        ));
    }
    keys(context, wanted, spec, live, &mut found);
    if wanted.include != spec.include {
        found.rebuild.push(format!(
            "INCLUDE is ({}), declared ({})",
            columns(&spec.include),
            columns(&wanted.include)
        ));
    }
    predicate(context, wanted, spec, live.table, &mut found);
    if part != Part::Parent {
        let change = parameters::change(&wanted.method, &wanted.with, &live.index.reloptions);
        if change.is_in_place() {
            found.parameters = change;
        } else {
            found.rebuild.extend(change.words(&live.index.reloptions));
        }
        found.statistics = declared
            .statistics
            .iter()
            .filter(|(key, target)| live.index.statistics.get(key) != Some(target))
            .map(|(key, target)| (*key, *target))
            .collect();
    }
    found.tablespace = tablespace(context, wanted, live, part);
    if part != Part::Partition {
        found.comment = declared
            .comment
            .clone()
            .filter(|wanted| live.index.comment.as_deref().unwrap_or_default() != wanted);
    }
    found
}

fn tablespace(
    context: &Context<'_>,
    wanted: &IndexSpec,
    live: &Live<'_>,
    part: Part,
) -> Option<String> {
    let default = &context.catalog().default_tablespace;
    let is = live.index.tablespace.as_ref().unwrap_or(default);
    match &wanted.tablespace {
        // Partitions may lie where their tables lie.
        None if part == Part::Partition => None,
        None => (is != default).then(|| default.clone()),
        Some(declared) => (is != declared).then(|| declared.clone()),
    }
}

fn keys(
    context: &Context<'_>,
    wanted: &IndexSpec,
    spec: &IndexSpec,
    live: &Live<'_>,
    found: &mut Comparison,
) {
    if wanted.keys.len() != spec.keys.len() {
        found.rebuild.push(format!(
            "it has {} key columns, declared {}",
            spec.keys.len(),
            wanted.keys.len()
        ));
        return;
    }
    for (at, (wanted_key, key)) in wanted.keys.iter().zip(&spec.keys).enumerate() {
        let number = at + 1;
        match same_target(context, live.table, wanted_key, key) {
            Same::Yes => {}
            Same::No => found.rebuild.push(format!(
                "key {number} is {}, declared {}",
                target(key),
                target(wanted_key)
            )),
            Same::Unknown(why) => {
                let words = format!("key {number} could not be compared: {why}");
                found.unverified.get_or_insert(words);
            }
        }
        let resolved = live.index.keys.get(at);
        if !same_opclass(wanted_key, key, resolved) {
            found.rebuild.push(format!(
                "operator class of key {number} is {}, declared {}",
                named(key.opclass.as_ref(), "the default"),
                named(wanted_key.opclass.as_ref(), "the default")
            ));
        } else if !parameters::change("", &wanted_key.opclass_options, &key.opclass_options)
            .is_empty()
        {
            found
                .rebuild
                .push(format!("operator class options of key {number} differ"));
        }
        if !same_collation(wanted_key, key, resolved) {
            found.rebuild.push(format!(
                "collation of key {number} is {}, declared {}",
                named(key.collate.as_ref(), "that of the column"),
                named(wanted_key.collate.as_ref(), "that of the column")
            ));
        }
        let order = (wanted_key.desc, wanted_key.nulls_first);
        if has_order(&wanted.method) && order != (key.desc, key.nulls_first) {
            found.rebuild.push(format!(
                "key {number} is sorted {}, declared {}",
                order_words(key),
                order_words(wanted_key)
            ));
        }
    }
}

fn predicate(
    context: &Context<'_>,
    wanted: &IndexSpec,
    spec: &IndexSpec,
    table: &IndexedTable,
    found: &mut Comparison,
) {
    match (&wanted.predicate, &spec.predicate) {
        (None, None) => {}
        (Some(wanted), Some(is)) => match folds::same(context, table, wanted, is) {
            Same::Yes => {}
            Same::No => found
                .rebuild
                .push(format!("predicate is {is}, declared {wanted}")),
            Same::Unknown(why) => {
                let words = format!("its predicate could not be compared: {why}");
                found.unverified.get_or_insert(words);
            }
        },
        (Some(wanted), None) => found
            .rebuild
            .push(format!("it has no predicate, declared {wanted}")),
        (None, Some(is)) => found
            .rebuild
            .push(format!("predicate is {is}, declared none")),
    }
}

fn same_target(
    context: &Context<'_>,
    table: &IndexedTable,
    wanted: &KeySpec,
    live: &KeySpec,
) -> Same {
    match (&wanted.target, &live.target) {
        (KeyTarget::Column(wanted), KeyTarget::Column(is)) if wanted == is => Same::Yes,
        (KeyTarget::Column(_), _) => Same::No,
        (KeyTarget::Expression(wanted), KeyTarget::Expression(is)) => {
            folds::same(context, table, wanted, is)
        }
        (KeyTarget::Expression(wanted), KeyTarget::Column(is)) => {
            folds::same(context, table, wanted, &quote_ident(is))
        }
    }
}

/// The server prints an operator class only where it is not the default of the key's type; what is declared by
/// name is held against what the catalog resolves.
fn same_opclass(wanted: &KeySpec, live: &KeySpec, resolved: Option<&LiveKey>) -> bool {
    match (&wanted.opclass, resolved) {
        // With options the server prints the default too.
        (None, _) => live.opclass.is_none() || !live.opclass_options.is_empty(),
        (Some(name), Some(key)) => names(name, &key.opclass),
        (Some(name), None) => live
            .opclass
            .as_ref()
            .is_some_and(|live| live.name == name.name),
    }
}

fn same_collation(wanted: &KeySpec, live: &KeySpec, resolved: Option<&LiveKey>) -> bool {
    let resolved = resolved.and_then(|key| key.collation.as_ref());
    match (&wanted.collate, resolved) {
        (None, _) => live.collate.is_none(),
        (Some(name), Some(is)) => names(name, is),
        (Some(name), None) => live
            .collate
            .as_ref()
            .is_some_and(|live| live.name == name.name),
    }
}

fn names(name: &ObjectName, (schema, is): &(String, String)) -> bool {
    name.name == *is && name.schema.as_ref().is_none_or(|wanted| wanted == schema)
}

/// Whether an access method sorts its keys.
pub(super) fn has_order(method: &str) -> bool {
    !matches!(method, "hash" | "gist" | "gin" | "spgist" | "brin")
}

/// A key in words.
pub(super) fn target(key: &KeySpec) -> String {
    match &key.target {
        KeyTarget::Column(name) => quote_if_needed(name),
        KeyTarget::Expression(text) => format!("({text})"),
    }
}

fn order_words(key: &KeySpec) -> &'static str {
    match (key.desc, key.nulls_first) {
        (false, false) => "ascending",
        (false, true) => "ascending with NULLs first",
        (true, true) => "descending",
        (true, false) => "descending with NULLs last",
    }
}

fn named(name: Option<&ObjectName>, otherwise: &str) -> String {
    name.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

fn columns(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quote_if_needed(name)).collect();
    quoted.join(", ")
}
