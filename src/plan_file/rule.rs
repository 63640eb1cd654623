//! The `rules:` section: thresholds by metric.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Millis, Origin, scalars};

/// One rule: a metric and from when on it is a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the rule in findings.
    pub id: String,
    /// What is measured: `replica.visible_lag`; a rule with `attest` has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metric: String,
    /// Attestation that must be there: `restore_drill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attest: Option<String>,
    /// How old the attestation may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Millis>,
    /// What the attested figure must be: `<= 30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Threshold>,
    /// Nodes the rule is for, by label: `{ role: replica }`; omitted: all.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalars::map"
    )]
    #[schemars(with = "BTreeMap<String, scalars::Scalar>")]
    pub scope: BTreeMap<String, String>,
    /// From when on it is a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Threshold>,
    /// From when on it is critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<Threshold>,
    /// States that are as they should be, of a metric that is a state; any other is a finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
    /// How bad any other state is (default critical).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// From when on a finding ends; omitted: when `warn` no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Threshold>,
    /// How long the threshold must be passed without a break.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Millis>,
    /// How many of the last samples must pass the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// The stretch of time that the figure is of, of a metric that is made of several samples or of statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Millis>,
    /// How many blocks must have been asked for within it, for a share of them to say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_volume: Option<Volume>,
    /// What a figure that cannot be measured counts as; omitted: as `defaults` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// Other thresholds for some nodes; the most specific one counts.
    #[serde(default, rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Where the rule stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// To be looked at.
    Warn,
    /// To be mended now.
    Critical,
}

/// The metric of rules with `attest`.
pub const ATTESTATION: &str = "attestation.state";

impl Rule {
    /// The metric that it is held against.
    pub fn metric_name(&self) -> &str {
        match self.attest {
            Some(_) => ATTESTATION,
            None => &self.metric,
        }
    }

    /// Makes a rule that no file gives, without a threshold yet.
    pub fn new(id: &str, metric: &str) -> Self {
        Self {
            id: id.to_owned(),
            metric: metric.to_owned(),
            scope: BTreeMap::new(),
            warn: None,
            critical: None,
            expect: Vec::new(),
            level: None,
            clear: None,
            lasting: None,
            samples: None,
            attest: None,
            max_age: None,
            value: None,
            window: None,
            min_volume: None,
            on_unknown: None,
            overrides: Vec::new(),
            origin: Origin::default(),
        }
    }
}

/// `need` of the last `of` samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// How many must pass the threshold.
    #[schemars(range(min = 1))]
    pub need: u32,
    /// How many are looked at.
    #[schemars(range(min = 1))]
    pub of: u32,
}

/// A number of blocks: `10000 blocks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume(pub u64);

const VOLUME_WANTED: &str = "write a number of blocks: `10000 blocks`";

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks", self.0)
    }
}

impl std::str::FromStr for Volume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().strip_suffix("blocks").map(str::trim_end);
        number
            .and_then(|number| number.parse().ok())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a volume; {VOLUME_WANTED}"))
    }
}

impl Serialize for Volume {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Volume {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalars::from_text(deserializer, "no unit", VOLUME_WANTED)
    }
}

impl JsonSchema for Volume {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Volume".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*[0-9]+\\s*blocks\\s*$",
            "description": "A number of blocks: 10000 blocks"
        })
    }
}

/// Other thresholds for nodes with certain labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Labels that a node must have.
    #[serde(rename = "match", deserialize_with = "scalars::map")]
    #[schemars(with = "BTreeMap<String, scalars::Scalar>")]
    pub labels: BTreeMap<String, String>,
    /// From when on it is a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Threshold>,
    /// From when on it is critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<Threshold>,
    /// States that are as they should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
}

/// What all rules share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// How often `dbops check` is planned to run (default 30s): two samples further apart than twice this are not
    /// taken for one stretch of time by `for`.
    pub every: Millis,
    /// What a figure that cannot be measured counts as (default unknown).
    pub on_unknown: OnUnknown,
}

/// What a figure that cannot be measured counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnknown {
    /// As such: exit code 3.
    #[default]
    Unknown,
    /// As a warning.
    Warn,
    /// As critical.
    Critical,
    /// As if the rule held.
    Ok,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            every: Millis(30_000),
            on_unknown: OnUnknown::Unknown,
        }
    }
}

impl Defaults {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A comparison with a number and its unit, `> 100ms`, `>= 50`, `< 70%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The comparison.
    pub comparison: Comparison,
    /// The number as it was written.
    pub number: f64,
    /// Its unit.
    pub unit: Unit,
}

/// A number and its unit, `24m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// The number as it was written.
    pub number: f64,
    /// Its unit.
    pub unit: Unit,
}

/// How a value is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

/// A unit of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Count,
    /// `%`
    Percent,
    /// A length of time: `ms`, `s`, `m`, `h`, `d`.
    Time(&'static str),
    /// A size: `B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.
    Size(&'static str),
}

/// Units by their text, with the factor to the base unit (seconds, bytes).
const UNITS: [(&str, Unit, f64); 14] = [
    ("", Unit::Count, 1.0),
    ("%", Unit::Percent, 1.0),
    ("ms", Unit::Time("ms"), 0.001),
    ("s", Unit::Time("s"), 1.0),
    ("m", Unit::Time("m"), 60.0),
    ("h", Unit::Time("h"), 3_600.0),
    ("d", Unit::Time("d"), 86_400.0),
    ("B", Unit::Size("B"), 1.0),
    ("kB", Unit::Size("kB"), 1e3),
    ("MB", Unit::Size("MB"), 1e6),
    ("GB", Unit::Size("GB"), 1e9),
    ("KiB", Unit::Size("KiB"), 1024.0),
    ("MiB", Unit::Size("MiB"), 1_048_576.0),
    ("GiB", Unit::Size("GiB"), 1_073_741_824.0),
];

const WANTED: &str =
    "write a comparison, a number and a unit: \"> 100ms\", \">= 80%\", \"> 1GB\", \"> 50\"";

impl Quantity {
    /// Returns the number in the base unit: seconds, bytes, percent, or plain.
    pub fn base(&self) -> f64 {
        UNITS
            .iter()
            .find(|(_, unit, _)| *unit == self.unit)
            .map_or(self.number, |(_, _, factor)| self.number * factor)
    }
}

impl Threshold {
    /// Returns the number in the base unit: seconds, bytes, percent, or plain.
    pub fn base(&self) -> f64 {
        self.quantity().base()
    }

    /// The number with its unit.
    pub fn quantity(&self) -> Quantity {
        Quantity {
            number: self.number,
            unit: self.unit,
        }
    }

    /// Whether it measures things of a unit.
    pub fn is_comparable_to(&self, unit: Unit) -> bool {
        std::mem::discriminant(&self.unit) == std::mem::discriminant(&unit)
    }

    /// Whether larger values are worse.
    pub fn is_upper(&self) -> bool {
        matches!(self.comparison, Comparison::Above | Comparison::AtLeast)
    }

    /// Whether two thresholds measure the same kind of thing.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.is_comparable_to(other.unit)
    }
}

/// Displays the threshold as plan files write it: `> 100ms`.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comparison = match self.comparison {
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
        };
        write!(f, "{comparison} {}", self.quantity())
    }
}

/// Displays the quantity as plan files write it: `24m`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Count => "",
            Unit::Percent => "%",
            Unit::Time(unit) | Unit::Size(unit) => unit,
        };
        write!(f, "{}{unit}", self.number)
    }
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (comparison, rest) = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ]
        .iter()
        .find_map(|(sign, comparison)| {
            Some((*comparison, trimmed.strip_prefix(sign)?.trim_start()))
        })
        .ok_or_else(|| format!("`{text}` has no comparison; {WANTED}"))?;
        let Quantity { number, unit } = quantity(rest, text, WANTED)?;
        Ok(Self {
            comparison,
            number,
            unit,
        })
    }
}

const QUANTITY_WANTED: &str = "write a number and a unit: `24m`, `1.5GB`, `2%`, `50`";

/// Reads a number and its unit, of a text that is named in messages.
fn quantity(rest: &str, text: &str, wanted: &str) -> Result<Quantity, String> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, unit) = rest.split_at(end);
    let number = number
        .parse()
        .map_err(|_| format!("`{text}` has no number; {wanted}"))?;
    let unit = unit.trim();
    UNITS
        .iter()
        .find(|(name, _, _)| *name == unit)
        .map(|&(_, unit, _)| Quantity { number, unit })
        .ok_or_else(|| {
            format!(
                "`{unit}` in `{text}` is not a unit; use ms, s, m, h, d, %, B, kB, MB, GB, KiB, MiB or GiB"
            )
        })
}

impl std::str::FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        quantity(text.trim(), text, QUANTITY_WANTED)
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalars::Scalar(text) = Deserialize::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number"],
            "pattern": "^\\s*([0-9]+(\\.[0-9]*)?|\\.[0-9]+)\\s*(ms|s|m|h|d|%|B|kB|MB|GB|KiB|MiB|GiB)?\\s*$",
            "description": "A number and a unit: 24m, 1.5GB, 2%, 50"
        })
    }
}

impl Serialize for Threshold {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalars::from_text(deserializer, "no comparison", WANTED)
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*(>=|<=|>|<)\\s*([0-9]+(\\.[0-9]*)?|\\.[0-9]+)\\s*(ms|s|m|h|d|%|B|kB|MB|GB|KiB|MiB|GiB)?\\s*$",
            "description": "A comparison, a number and a unit: > 100ms, >= 80%, > 1GB, > 50"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_read_back_what_they_print() {
        for text in ["> 100ms", ">= 50", "< 70%", "<= 1.5GiB", "> 1m"] {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!(threshold.to_string(), text);
        }
        for text in ["100ms", "> ms", "> 1M", "> 1..2", "", ">", "> -1"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    #[test]
    fn thresholds_compare_in_base_units() {
        let base = |text: &str| text.parse::<Threshold>().unwrap().base();
        assert!(base("> 1000ms") == base("> 1s") && base("> 1KiB") > base("> 1kB"));
    }
}
