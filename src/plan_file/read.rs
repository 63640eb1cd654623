//! Turns YAML values into the plan file's types and keeps the path of each problem.
//!
//! `serde` stops at the first problem. Here the path of that problem is noted, the value is left
//! out and the rest is read again, so that one run reports them all.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_yaml::Value;

use super::position::{Path, Step};
use super::words;

/// Problems reported of one file; whoever has more is helped by the first ones.
const MAX_FAULTS: usize = 100;

/// A problem found while reading a value.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where; for an unknown key the key itself.
    pub(super) path: Path,
    located: bool,
    /// What.
    pub(super) kind: FaultKind,
}

/// What is wrong with a value.
#[derive(Debug)]
pub(super) enum FaultKind {
    /// A key that the type does not have.
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// A word that is not one of the choices.
    UnknownChoice {
        word: String,
        known: &'static [&'static str],
    },
    /// A key that must be there.
    MissingKey { key: &'static str },
    /// A value of another type.
    WrongType { found: String, expected: String },
    /// No value at all.
    NoValue,
    /// Anything else, in words.
    Other(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self {
            path: Path::default(),
            located: false,
            kind,
        }
    }

    fn at(mut self, path: &Path) -> Self {
        if !self.located {
            self.path = match &self.kind {
                FaultKind::UnknownKey { key, .. } => path.key(key),
                _ => path.clone(),
            };
            self.located = true;
        }
        self
    }
}

/// What reading gave: the value where one could be made, and the problems.
pub(super) struct Reading<T> {
    /// The value, without the parts that have problems.
    pub(super) value: Option<T>,
    /// Problems, in the order found.
    pub(super) faults: Vec<Fault>,
    /// Paths that were left out.
    pub(super) skipped: BTreeSet<Path>,
}

/// Reads a value and reports every problem that can be told from the others.
pub(super) fn read<T: de::DeserializeOwned>(value: &Value) -> Reading<T> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut skipped = BTreeSet::new();
    loop {
        let reader = Reader {
            value,
            path: Path::default(),
            skipped: &skipped,
        };
        let fault = match T::deserialize(reader) {
            Ok(value) => {
                return Reading {
                    value: Some(value),
                    faults,
                    skipped,
                };
            }
            Err(fault) => fault,
        };
        let follows = follows(&fault, &faults, &skipped);
        let mut path = fault.path.clone();
        if skipped.contains(&path) {
            // Leaving the part out was not enough, so what holds it is left out, without a word.
            while skipped.contains(&path) && path.0.pop().is_some() {}
        } else if !follows {
            faults.push(fault);
        }
        let again = !path.0.is_empty() && skipped.insert(path);
        if !again || faults.len() >= MAX_FAULTS {
            return Reading {
                value: None,
                faults,
                skipped,
            };
        }
    }
}

/// Whether a key is missing only because its value was left out, or because it was misspelt; both
/// have been reported.
fn follows(fault: &Fault, faults: &[Fault], skipped: &BTreeSet<Path>) -> bool {
    let FaultKind::MissingKey { key } = &fault.kind else {
        return false;
    };
    skipped.contains(&fault.path.key(key))
        || faults.iter().any(|other| match &other.kind {
            FaultKind::UnknownKey { key: typed, known } => {
                other.path == fault.path.key(typed) && words::meant_word(typed, known) == Some(key)
            }
            _ => false,
        })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path, self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(FaultKind::WrongType {
            found: found_in_words(found),
            expected: expected_in_words(&expected.to_string()),
        })
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownChoice {
            word: word.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::MissingKey { key })
    }
}

fn found_in_words(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Bool(value) => format!("`{value}`"),
        de::Unexpected::Unsigned(value) => format!("the number {value}"),
        de::Unexpected::Signed(value) => format!("the number {value}"),
        de::Unexpected::Float(value) => format!("the number {value}"),
        de::Unexpected::Str(text) => format!("the text `{text}`"),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// Rust's words for types, in those of a person who writes YAML.
fn expected_in_words(expected: &str) -> String {
    match expected {
        "a string" => "text",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a mapping of keys to values",
        other if other.starts_with("struct ") => "a mapping of keys to values",
        other => other,
    }
    .to_owned()
}

#[derive(Clone)]
struct Reader<'a> {
    value: &'a Value,
    path: Path,
    skipped: &'a BTreeSet<Path>,
}

impl<'a> Reader<'a> {
    fn inner(&self, value: &'a Value, path: Path) -> Self {
        Self {
            value,
            path,
            skipped: self.skipped,
        }
    }

    fn no_value(&self) -> Fault {
        Fault::new(FaultKind::NoValue).at(&self.path)
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        let result = match self.value {
            Value::Null => Err(self.no_value()),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_str(text),
            Value::Sequence(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
                reader: self,
            }),
            Value::Mapping(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                pending: None,
                reader: self,
            }),
            Value::Tagged(tagged) => Err(Fault::new(FaultKind::Other(format!(
                "the tag `{}` has no meaning here; remove it",
                tagged.tag
            )))),
        };
        result.map_err(|fault| fault.at(&path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            // An empty value is rather an unfinished line than a wish for the default.
            Value::Null => Err(self.no_value()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        let result = match self.value {
            Value::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Mapping(entries) if name == "SubPartitions" => match entries.iter().next() {
                Some((Value::String(key), value)) if entries.len() == 1 => {
                    let inner = self.inner(value, path.key(key));
                    visitor.visit_enum(Choice { key, inner })
                }
                _ => Err(Fault::new(FaultKind::Other(format!(
                    "this mapping takes exactly one key; write one of {}",
                    list(variants)
                )))),
            },
            Value::Null => Err(self.no_value()),
            other => Err(Fault::new(FaultKind::WrongType {
                found: kind_of(other),
                expected: format!("one of {}", list(variants)),
            })),
        };
        result.map_err(|fault| fault.at(&path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// Joins words for a message: `a`, `b`, `c`.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) => format!("the text `{text}`"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    reader: Reader<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        for (index, value) in self.items.by_ref() {
            let path = self.reader.path.index(index);
            if self.reader.skipped.contains(&path) {
                continue;
            }
            let inner = self.reader.inner(value, path.clone());
            return seed
                .deserialize(inner)
                .map(Some)
                .map_err(|fault| fault.at(&path));
        }
        Ok(None)
    }
}

struct Entries<'a> {
    entries: serde_yaml::mapping::Iter<'a>,
    pending: Option<(Path, &'a Value)>,
    reader: Reader<'a>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        for (key, value) in self.entries.by_ref() {
            let text = match key {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => {
                    return Err(Fault::new(FaultKind::Other(
                        "a key of a mapping must be text".to_owned(),
                    ))
                    .at(&self.reader.path));
                }
            };
            let path = self.reader.path.key(&text);
            if self.reader.skipped.contains(&path) {
                continue;
            }
            self.pending = Some((path.clone(), value));
            let parent = &self.reader.path;
            let key: de::value::StringDeserializer<Fault> = text.into_deserializer();
            return seed
                .deserialize(key)
                .map(Some)
                .map_err(|fault| match fault.kind {
                    FaultKind::UnknownKey { .. } => fault.at(parent),
                    _ => fault.at(&path),
                });
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (path, value) = self
            .pending
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        let inner = self.reader.inner(value, path.clone());
        seed.deserialize(inner).map_err(|fault| fault.at(&path))
    }
}

/// The one key of a mapping that stands for a choice with fields.
struct Choice<'a> {
    key: &'a str,
    inner: Reader<'a>,
}

impl<'de> de::EnumAccess<'de> for Choice<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let key: de::value::StrDeserializer<'_, Fault> = self.key.into_deserializer();
        let variant = seed
            .deserialize(key)
            .map_err(|fault| fault.at(&self.inner.path))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(
            Fault::new(FaultKind::Other("this choice has no fields".to_owned()))
                .at(&self.inner.path),
        )
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.inner)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.inner.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.inner.deserialize_any(visitor)
    }
}

/// Returns which elements of the list at a path were read, by their index in the file.
pub(super) fn kept(skipped: &BTreeSet<Path>, path: &Path, length: usize) -> Vec<usize> {
    (0..length)
        .filter(|&index| !skipped.contains(&path.index(index)))
        .collect()
}

/// Returns the value at a path.
pub(super) fn lookup<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut at = value;
    for step in &path.0 {
        at = match step {
            Step::Key(key) => at.get(key.as_str())?,
            Step::Index(index) => at.get(*index)?,
        };
    }
    Some(at)
}
