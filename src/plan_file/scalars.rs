//! Reads single values that people write in more than one way.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use chrono_tz::Tz;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::suggest::nearest;

/// A text, number or truth value that is passed on as text: `fillfactor: 90`, `autovacuum_enabled: false`.
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl schemars::JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, `true` or `false`")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(value.to_owned()))
    }
}

/// Reads a scalar as text.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Scalar::deserialize(deserializer).map(|Scalar(text)| text)
}

/// Reads a mapping of scalars.
pub(super) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let read = BTreeMap::<String, Scalar>::deserialize(deserializer)?;
    Ok(read
        .into_iter()
        .map(|(key, Scalar(text))| (key, text))
        .collect())
}

/// Reads a mapping of positions from 1 to small numbers; YAML hands its keys over as text.
pub(super) fn positions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<i16, i16>, D::Error> {
    BTreeMap::<String, i16>::deserialize(deserializer)?
        .into_iter()
        .map(|(key, value)| match key.parse() {
            Ok(position) if position > 0 => Ok((position, value)),
            _ => Err(de::Error::custom(format!(
                "`{key}` is not the position of a key column; count them from 1"
            ))),
        })
        .collect()
}

/// Reads a mapping of lists of scalars.
pub(super) fn lists<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let read = BTreeMap::<String, Vec<Scalar>>::deserialize(deserializer)?;
    Ok(read
        .into_iter()
        .map(|(key, list)| (key, list.into_iter().map(|Scalar(text)| text).collect()))
        .collect())
}

/// Reads the name of a time zone.
pub(super) fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let text = String::deserialize(deserializer)?;
    Tz::from_str(&text).map_err(|_| {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let city = format!("/{}", text.to_lowercase());
        let help = nearest(&text, known.clone())
            .or_else(|| {
                known
                    .clone()
                    .find(|name| name.to_lowercase().ends_with(&city))
            })
            .map_or_else(
                || "use a name of the IANA database, such as `UTC` or `Europe/Berlin`".to_owned(),
                |found| format!("did you mean `{found}`?"),
            );
        de::Error::custom(format!("`{text}` is not a known time zone; {help}"))
    })
}

/// Reads a value by its `FromStr`; a bare number is told what it lacks and what to write.
pub(super) fn from_text<'de, D, T>(
    deserializer: D,
    lacks: &'static str,
    wanted: &'static str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    deserializer.deserialize_any(FromText {
        lacks,
        wanted,
        kind: PhantomData,
    })
}

struct FromText<T> {
    lacks: &'static str,
    wanted: &'static str,
    kind: PhantomData<T>,
}

impl<T> FromText<T> {
    fn bare<E: de::Error>(&self, number: impl fmt::Display) -> E {
        E::custom(format!("`{number}` has {}; {}", self.lacks, self.wanted))
    }
}

impl<T: FromStr<Err = String>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count and a unit")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        Err(self.bare(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        Err(self.bare(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        Err(self.bare(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
