//! Names of metrics and of their families as text and back: a saved figure keeps to the names that there are.

use serde::{Deserialize, Deserializer, Serializer, de};

use crate::plan_file::metric::METRICS;

/// Returns the name that is known here, of a metric or of a family.
pub fn known(name: &str) -> Option<&'static str> {
    METRICS.iter().find_map(|metric| {
        let family = metric.name.split('.').next();
        (metric.name == name)
            .then_some(metric.name)
            .or(family.filter(|family| *family == name))
    })
}

/// Writes a name.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

/// Reads a name.
///
/// # Errors
/// A name that is not known here.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let name = String::deserialize(deserializer)?;
    known(&name).ok_or_else(|| de::Error::custom(format!("there is no metric `{name}`")))
}
