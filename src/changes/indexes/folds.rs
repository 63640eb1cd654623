//! Which texts the server is asked to bring to one form, and what its answers say about two of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Declared;
use super::context::{Context, Live};
use crate::catalog::index_model::{FoldQuestion, Folded, IndexedTable, TableKind};
use crate::ident::{QualifiedName, quote_ident};
use crate::syntax::{IndexSpec, KeyTarget};

/// Whether two texts mean the same to the server's planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Same {
    Yes,
    No,
    /// Why it cannot be said.
    Unknown(String),
}

/// Returns the folds needed: the declared texts, and those of every live index that may be compared with them.
pub(super) fn questions(context: &Context<'_>) -> Vec<FoldQuestion> {
    let mut texts: BTreeMap<&QualifiedName, BTreeSet<String>> = BTreeMap::new();
    for declared in context.inputs.declared {
        let tables = context.tree(&declared.spec.table);
        for table in tables {
            if table.kind == TableKind::Foreign {
                continue;
            }
            let asked = texts.entry(&table.name).or_default();
            asked.extend(declared.spec.expressions().map(str::to_owned));
            for live in context.on(table) {
                asked.extend(live_texts(declared, live));
            }
        }
    }
    texts
        .into_iter()
        .filter(|(_, texts)| !texts.is_empty())
        .map(|(table, texts)| FoldQuestion {
            table: table.clone(),
            texts: texts.into_iter().collect(),
        })
        .collect()
}

/// The texts of a live index that this declared one may be compared with, by name or by shape.
fn live_texts(declared: &Declared, live: &Live<'_>) -> Vec<String> {
    let Some(spec) = &live.spec else {
        return Vec::new();
    };
    let by_name = live.index.name == declared.name;
    if !by_name && !same_shape(&declared.spec, spec) {
        return Vec::new();
    }
    let mut texts: Vec<String> = spec.expressions().map(str::to_owned).collect();
    // An expression that is only a column after all is stored as one.
    for (wanted, found) in declared.spec.keys.iter().zip(&spec.keys) {
        if let (KeyTarget::Expression(_), KeyTarget::Column(column)) =
            (&wanted.target, &found.target)
        {
            texts.push(quote_ident(column));
        }
    }
    texts
}

/// Whether two indexes may be the same once their texts are compared.
fn same_shape(declared: &IndexSpec, live: &IndexSpec) -> bool {
    declared.method == live.method
        && declared.unique == live.unique
        && declared.keys.len() == live.keys.len()
        && declared.predicate.is_some() == live.predicate.is_some()
}

/// What the server says against a declared text of this table.
pub(super) fn refused<'a>(
    context: &Context<'a>,
    table: &QualifiedName,
    spec: &IndexSpec,
) -> Option<(String, &'a str)> {
    spec.expressions()
        .find_map(|text| match context.folded(table, text) {
            Some(Folded::Refused(message)) => Some((text.to_owned(), message.as_str())),
            _ => None,
        })
}

/// Compares two texts of one table.
pub(super) fn same(context: &Context<'_>, table: &IndexedTable, left: &str, right: &str) -> Same {
    let folded = |text: &str| match context.folded(&table.name, text) {
        Some(Folded::Text(folded)) => Ok(folded),
        Some(Folded::Refused(why) | Folded::Unknown(why)) => Err(why.clone()),
        None => Err("the server was not asked".to_owned()),
    };
    match (folded(left), folded(right)) {
        (Ok(left), Ok(right)) if left == right => Same::Yes,
        (Ok(_), Ok(_)) => Same::No,
        // The same words are the same expression, whoever may read the table.
        _ if left.trim() == right.trim() => Same::Yes,
        (Err(why), _) | (_, Err(why)) => Same::Unknown(why),
    }
}
