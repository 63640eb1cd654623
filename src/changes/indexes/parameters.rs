//! Storage parameters: one form for each value, and which of them an index can take on without being built anew.

use std::collections::BTreeMap;

use crate::changes::changeset::LockMode;

/// Storage parameters of an index that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ParameterChange {
    /// Values to set.
    pub(super) set: BTreeMap<String, String>,
    /// Names to reset.
    pub(super) reset: Vec<String>,
}

impl ParameterChange {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.reset.is_empty()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.set.keys().chain(&self.reset).map(String::as_str)
    }

    /// Whether ALTER INDEX is enough: the others are read when the index is built and never again.
    pub(super) fn is_in_place(&self) -> bool {
        self.names().all(|name| {
            matches!(
                name,
                "fillfactor"
                    | "deduplicate_items"
                    | "fastupdate"
                    | "gin_pending_list_limit"
                    | "autosummarize"
                    | "buffering"
            )
        })
    }

    /// The lock that ALTER INDEX takes on the index.
    ///
    /// Source: the lock levels in `reloptions.c`.
    pub(super) fn lock(&self) -> LockMode {
        if self
            .names()
            .all(|name| matches!(name, "fillfactor" | "deduplicate_items"))
        {
            LockMode::ShareUpdateExclusive
        } else {
            LockMode::AccessExclusive
        }
    }

    /// The differences in words.
    pub(super) fn words(&self, live: &BTreeMap<String, String>) -> Vec<String> {
        let set = self.set.iter().map(|(name, value)| match live.get(name) {
            Some(old) => format!("{name} is {old}, declared {value}"),
            None => format!("{name} is not set, declared {value}"),
        });
        let reset = self.reset.iter().map(|name| match live.get(name) {
            Some(old) => format!("{name} is {old}, declared with its default"),
            None => format!("{name} is set, declared with its default"),
        });
        set.chain(reset).collect()
    }
}

/// Compares declared with live parameters.
pub(super) fn change(
    method: &str,
    declared: &BTreeMap<String, String>,
    live: &BTreeMap<String, String>,
) -> ParameterChange {
    let mut change = ParameterChange::default();
    let effective = |options: &BTreeMap<String, String>, name: &str| {
        options
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| normal(value))
            .or_else(|| default(method, name).map(normal))
    };
    for (name, value) in declared {
        let name = name.to_ascii_lowercase();
        if effective(live, &name) != Some(normal(value)) {
            change.set.insert(name, value.clone());
        }
    }
    for name in live.keys() {
        let is_declared = declared
            .keys()
            .any(|found| found.eq_ignore_ascii_case(name));
        if !is_declared && effective(live, name) != effective(declared, name) {
            change.reset.push(name.clone());
        }
    }
    change
}

/// One form for `on`, `true`, `yes` and `1`, for `90` and `090`.
pub(super) fn normal(value: &str) -> String {
    let value = value.trim().to_ascii_lowercase();
    match value.as_str() {
        "on" | "true" | "yes" => "1".to_owned(),
        "off" | "false" | "no" => "0".to_owned(),
        _ => value
            .parse::<f64>()
            .map(|number| number.to_string())
            .unwrap_or(value),
    }
}

fn default(method: &str, name: &str) -> Option<&'static str> {
    match (method, name) {
        ("btree" | "gist", "fillfactor") => Some("90"),
        ("hash", "fillfactor") => Some("75"),
        ("spgist", "fillfactor") => Some("80"),
        ("btree", "deduplicate_items") | ("gin", "fastupdate") => Some("on"),
        ("gist", "buffering") => Some("auto"),
        ("brin", "pages_per_range") => Some("128"),
        ("brin", "autosummarize") => Some("off"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn spellings_and_defaults_are_no_difference() {
        for (method, declared, live) in [
            ("gin", &[("fastupdate", "off")], &[("fastupdate", "false")]),
            ("gin", &[("fastupdate", "0")], &[("fastupdate", "off")]),
            ("btree", &[("fillfactor", "070")], &[("fillfactor", "70")]),
        ] {
            assert!(change(method, &options(declared), &options(live)).is_empty());
        }
        let default = options(&[("fillfactor", "90")]);
        assert!(change("btree", &default, &options(&[])).is_empty());
        assert!(change("btree", &options(&[]), &default).is_empty());
        assert!(!change("hash", &options(&[]), &default).is_empty());
    }

    #[test]
    fn what_is_set_and_reset_and_whether_in_place() {
        let found = change(
            "btree",
            &options(&[("fillfactor", "70")]),
            &options(&[("deduplicate_items", "off")]),
        );
        assert_eq!(found.set, options(&[("fillfactor", "70")]));
        assert_eq!(found.reset, ["deduplicate_items"]);
        assert!(found.is_in_place());
        assert_eq!(found.lock(), LockMode::ShareUpdateExclusive);
        let gin = change("gin", &options(&[("fastupdate", "off")]), &options(&[]));
        assert_eq!(gin.lock(), LockMode::AccessExclusive);
        let brin = change(
            "brin",
            &options(&[("pages_per_range", "32")]),
            &options(&[]),
        );
        assert!(!brin.is_in_place());
    }
}
