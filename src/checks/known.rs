//! A figure, or why there is none.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::reason::Reason;

/// Something measured, or why it is not known. As JSON `{"value": …}`, or `{"value": null, "reason": …, "fix": …}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<T> {
    /// It is known.
    Value(T),
    /// It is not, and why.
    Unknown(Reason),
}

impl<T> Known<T> {
    /// Returns the value, or an unknown for the reason given.
    pub fn from_option(value: Option<T>, reason: Reason) -> Self {
        value.map_or(Self::Unknown(reason), Self::Value)
    }

    /// Returns the value where it is known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Applies a function to the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Value(value) => Known::Value(f(value)),
            Self::Unknown(reason) => Known::Unknown(reason),
        }
    }
}

impl<T: Serialize> Serialize for Known<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Value(value) => map.serialize_entry("value", value)?,
            Self::Unknown(reason) => {
                map.serialize_entry("value", &None::<()>)?;
                map.serialize_entry("reason", reason)?;
                map.serialize_entry("fix", reason.fix())?;
            }
        }
        map.end()
    }
}
