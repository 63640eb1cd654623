//! An index plan, written by its parts or as SQL, as the one structure that both say.

use std::collections::BTreeMap;

use super::index_plan::{IndexColumn, IndexKey, IndexPlan, Nulls};
use super::position::Step;
use crate::ident::{quote_ident, quote_if_needed, quote_literal};
use crate::syntax::{
    self, Build, CreateIndex, DEFAULT_METHOD, Fault, IndexSpec, KeySpec, KeyTarget, ObjectName,
};

/// What is wrong with one part of an index plan.
#[derive(Debug)]
pub(super) struct PartFault {
    /// The part, below the entry.
    pub(super) part: Vec<Step>,
    /// What is wrong, placed in the part's text.
    pub(super) fault: Fault,
}

impl PartFault {
    fn new(part: &[Step], fault: Fault) -> Self {
        Self {
            part: part.to_vec(),
            fault,
        }
    }

    fn whole(part: &[Step], text: &str, message: String) -> Self {
        let fault = Fault {
            message,
            start: 0,
            end: text.len(),
        };
        Self::new(part, fault)
    }
}

impl IndexPlan {
    /// Returns what the entry says the index should be; of an `absent` entry nothing.
    ///
    /// Both ways of writing an index give the same structure: expressions and predicates lose the
    /// parentheses around them, an expression that is but a column becomes that column.
    ///
    /// # Errors
    /// The first fault in words. A plan file that was loaded without errors has none.
    pub fn spec(&self) -> Result<Option<IndexSpec>, String> {
        self.read_spec().map_err(|mut faults| {
            if faults.is_empty() {
                "the entry is not complete".to_owned()
            } else {
                faults.swap_remove(0).fault.message
            }
        })
    }

    /// Reads the entry's statement, where it is written as SQL.
    pub(super) fn read_sql(&self) -> Option<Result<CreateIndex, PartFault>> {
        self.sql.as_ref().map(|sql| {
            syntax::create_index(sql)
                .map_err(|fault| PartFault::new(&[Step::Key("sql".to_owned())], fault))
        })
    }

    /// As [`Self::spec`], with every fault and its place; an entry that lacks a part has an empty list.
    pub(super) fn read_spec(&self) -> Result<Option<IndexSpec>, Vec<PartFault>> {
        if !self.absent.is_empty() {
            return Ok(None);
        }
        match self.read_sql() {
            Some(read) => read
                .map(|found| Some(found.spec))
                .map_err(|fault| vec![fault]),
            None => self.spec_of_parts().map(Some),
        }
    }

    fn spec_of_parts(&self) -> Result<IndexSpec, Vec<PartFault>> {
        let (Some(table), Some(name)) = (&self.table, &self.name) else {
            return Err(Vec::new());
        };
        let mut faults = Vec::new();
        let mut keys = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            match column {
                IndexColumn::Name(name) => {
                    keys.push(KeySpec::plain(KeyTarget::Column(name.clone())));
                }
                IndexColumn::Key(parts) => {
                    let place = [Step::Key("columns".to_owned()), Step::Index(at)];
                    keys.extend(key(parts, &place, &mut faults));
                }
            }
        }
        let predicate = self.predicate.as_ref().and_then(|text| {
            syntax::expression(text)
                .map_err(|fault| {
                    faults.push(PartFault::new(&[Step::Key("where".to_owned())], fault));
                })
                .ok()
        });
        if !faults.is_empty() || keys.len() < self.columns.len() || keys.is_empty() {
            return Err(faults);
        }
        let spec = IndexSpec {
            name: Some(name.clone()),
            table: table.clone(),
            method: self
                .using
                .as_ref()
                .map_or_else(|| DEFAULT_METHOD.to_owned(), |using| using.to_lowercase()),
            unique: self.unique,
            nulls_not_distinct: self.nulls_not_distinct,
            keys,
            include: self.include.clone(),
            predicate,
            with: self
                .with
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .collect(),
            tablespace: self.tablespace.clone(),
        };
        if spec.expressions().next().is_none() {
            return Ok(spec);
        }
        // Read back from SQL, so that both ways of writing an index are normalised by the same hand.
        let sql = spec.sql(Build::Plain, table, name);
        match syntax::create_index(&sql) {
            Ok(found) => Ok(found.spec),
            Err(fault) => Err(vec![PartFault::whole(&[], &sql, fault.message)]),
        }
    }

    /// Returns the entry that says, by its parts, what a specification says.
    pub fn of(spec: &IndexSpec) -> Self {
        Self {
            name: spec.name.clone(),
            table: Some(spec.table.clone()),
            columns: spec.keys.iter().map(column_of).collect(),
            using: (spec.method != DEFAULT_METHOD).then(|| spec.method.clone()),
            unique: spec.unique,
            nulls_not_distinct: spec.nulls_not_distinct,
            include: spec.include.clone(),
            predicate: spec.predicate.clone(),
            with: spec.with.clone(),
            tablespace: spec.tablespace.clone(),
            ..Self::default()
        }
    }

    /// Sets the statistics targets of expressions by key position from 1; a plain column has none in an index.
    pub fn set_statistics(&mut self, targets: &BTreeMap<i16, i16>) {
        for (position, target) in targets {
            let key = usize::try_from(*position)
                .ok()
                .and_then(|position| self.columns.get_mut(position.checked_sub(1)?));
            if let Some(IndexColumn::Key(key)) = key
                && key.expr.is_some()
            {
                key.statistics = Some(*target);
            }
        }
    }

    /// Returns the statistics targets by key position from 1, wherever the entry says them.
    pub fn statistics_targets(&self) -> BTreeMap<i16, i16> {
        if self.sql.is_some() {
            return self.statistics.clone();
        }
        let mut targets = BTreeMap::new();
        for (at, column) in self.columns.iter().enumerate() {
            if let IndexColumn::Key(key) = column
                && let (Some(target), Ok(position)) = (key.statistics, i16::try_from(at + 1))
            {
                targets.insert(position, target);
            }
        }
        targets
    }
}

fn key(parts: &IndexKey, place: &[Step], faults: &mut Vec<PartFault>) -> Option<KeySpec> {
    let below = |key: &str| {
        let mut path = place.to_vec();
        path.push(Step::Key(key.to_owned()));
        path
    };
    let target = match (&parts.column, &parts.expr) {
        (Some(column), None) => Some(KeyTarget::Column(column.clone())),
        (None, Some(text)) => match syntax::expression(text) {
            Ok(text) => Some(KeyTarget::Expression(text)),
            Err(fault) => {
                faults.push(PartFault::new(&below("expr"), fault));
                None
            }
        },
        _ => None,
    };
    let collate = parts.collate.as_ref().map(|text| {
        collation(text)
            .map_err(|message| faults.push(PartFault::whole(&below("collate"), text, message)))
    });
    let opclass = parts.opclass.as_ref().map(|text| {
        syntax::operator_class(text)
            .map_err(|message| faults.push(PartFault::whole(&below("opclass"), text, message)))
    });
    let (opclass, opclass_options) = match opclass {
        None => (None, Default::default()),
        Some(read) => {
            let (name, options) = read.ok()?;
            (Some(name), options)
        }
    };
    Some(KeySpec {
        target: target?,
        collate: match collate {
            None => None,
            Some(read) => Some(read.ok()?),
        },
        opclass,
        opclass_options,
        desc: parts.desc,
        nulls_first: parts
            .nulls
            .map_or(parts.desc, |nulls| nulls == Nulls::First),
    })
}

fn column_of(key: &KeySpec) -> IndexColumn {
    let (column, expr) = match &key.target {
        KeyTarget::Column(name) => (Some(name.clone()), None),
        KeyTarget::Expression(text) => (None, Some(text.clone())),
    };
    let parts = IndexKey {
        column,
        expr,
        desc: key.desc,
        nulls: (key.nulls_first != key.desc).then_some(if key.nulls_first {
            Nulls::First
        } else {
            Nulls::Last
        }),
        collate: key.collate.as_ref().map(collation_text),
        opclass: key.opclass.as_ref().map(|name| {
            if key.opclass_options.is_empty() {
                return name.to_string();
            }
            let options: Vec<String> = key
                .opclass_options
                .iter()
                .map(|(name, value)| {
                    format!("{} = {}", quote_if_needed(name), quote_literal(value))
                })
                .collect();
            format!("{name}({})", options.join(", "))
        }),
        statistics: None,
    };
    // A name that looks like an expression or an order is refused as a bare name.
    let bare = |name: &String| !name.contains([' ', '(', '"']);
    match &parts.column {
        Some(name)
            if bare(name)
                && IndexKey {
                    column: Some(name.clone()),
                    ..IndexKey::default()
                } == parts =>
        {
            IndexColumn::Name(name.clone())
        }
        _ => IndexColumn::Key(parts),
    }
}

/// Reads the name of a collation: `C`, `"de-x-icu"`, `public.german`, `en_US.utf8`.
///
/// A part without quotes is taken as it is written, unlike in SQL: nobody means `c` by `C`. A locale with its
/// encoding is one name although it holds a dot.
fn collation(text: &str) -> Result<ObjectName, String> {
    let text = text.trim();
    let read = if is_locale(text) {
        crate::ident::split_name(&quote_ident(text))
    } else {
        crate::ident::split_name(&with_quotes(text))
    };
    read.map(|(schema, name)| ObjectName { schema, name })
}

/// Quotes the parts of a dotted name that have no quotes, so that they keep their case.
fn with_quotes(text: &str) -> String {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if c == '.' && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|part| {
            if part.contains('"') || part.is_empty() {
                part
            } else {
                quote_ident(&part)
            }
        })
        .collect();
    parts.join(".")
}

/// Whether a text is a locale with its encoding, `en_US.utf8`: a language, a country, a dot.
fn is_locale(text: &str) -> bool {
    let Some((locale, _)) = text.split_once('.') else {
        return false;
    };
    matches!(locale.split_once('_'), Some((language, country))
        if (2..=3).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// Returns the name of a collation as a plan file writes it, so that it is read back the same.
fn collation_text(name: &ObjectName) -> String {
    let part = |text: &str| {
        if !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            text.to_owned()
        } else {
            quote_ident(text)
        }
    };
    match &name.schema {
        Some(schema) => format!("{}.{}", part(schema), part(&name.name)),
        None => part(&name.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::{PlanFile, Source, parse};
    use proptest::prelude::*;

    fn plan(text: &str) -> PlanFile {
        let source = Source {
            path: "plan.yaml".into(),
            text: format!("version: 1\nindexes:\n{text}"),
        };
        parse(&[source])
            .unwrap_or_else(|problems| panic!("{problems}"))
            .plan
    }

    fn spec(text: &str) -> IndexSpec {
        plan(text).indexes[0].spec().unwrap().unwrap()
    }

    #[test]
    fn parts_and_sql_say_the_same() {
        for (parts, sql) in [
            (
                r#"  - { name: I, table: 'app."T"', columns: [colA, { column: b, desc: true }], unique: true, include: [c] }"#,
                r#"create unique index "I" on app."T" ("colA", b desc) include (c)"#,
            ),
            (
                r#"  - { name: i, table: t, columns: [{ expr: (lower(a)) }, { expr: '((b))', nulls: first }], where: (a > 1) }"#,
                "create index i on t (lower(a), b nulls first) where a > 1",
            ),
            (
                r#"  - { name: i, table: t, using: GIN, columns: [{ column: j, opclass: jsonb_path_ops }], with: { fastupdate: false } }"#,
                "create index i on t using gin (j jsonb_path_ops) with (fastupdate = false)",
            ),
            (
                r#"  - { name: i, table: t, columns: [{ expr: 'lower(a) collate "C"' }, { column: b, collate: C }, { column: c, collate: 'pg_catalog.de_DE' }], where: "a is null -- yes" }"#,
                r#"create index i on t (lower(a) collate "C", b collate "C", c collate pg_catalog."de_DE") where a is null"#,
            ),
            (
                r#"  - { name: i, table: t, using: gist, columns: [{ column: a, opclass: 'public.gist_trgm_ops(siglen = 32)' }], tablespace: Fast }"#,
                r#"create index i on t using gist (a public.gist_trgm_ops (siglen = 32)) tablespace "Fast""#,
            ),
        ] {
            let sql = format!("  - sql: |\n      {sql}");
            assert_eq!(spec(parts), spec(&sql), "{parts}");
        }
    }

    #[test]
    fn collations_keep_their_case() {
        for (text, schema, name) in [
            ("C", None, "C"),
            ("\"de-x-icu\"", None, "de-x-icu"),
            ("de-x-icu", None, "de-x-icu"),
            ("en_US.utf8", None, "en_US.utf8"),
            ("\"en_US.utf8\"", None, "en_US.utf8"),
            ("public.German", Some("public"), "German"),
            ("App.\"a.b\"", Some("App"), "a.b"),
            ("\"a.b\".X", Some("a.b"), "X"),
            ("\"a\".\"b\"", Some("a"), "b"),
        ] {
            let read = collation(text).unwrap();
            assert_eq!(
                (read.schema.as_deref(), read.name.as_str()),
                (schema, name),
                "{text}"
            );
        }
        for bad in ["", ".", "a.", "\"a", "a.b.c"] {
            assert!(collation(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn collations_read_back(schema in proptest::option::of("[^\0]{1,9}"), name in "[^\0]{1,9}") {
            let name = ObjectName { schema, name };
            prop_assert_eq!(collation(&collation_text(&name)), Ok(name));
        }
    }
}
