//! Names that dbops gives: of an index being replaced, of its replacement, of partitions' indexes. The same
//! inputs always give the same name, so that the next run recognises what an interrupted one left.

use crate::changes::names::fit;
use crate::ident::QualifiedName;

/// The index that is built to replace another one.
pub(super) fn new_name(name: &QualifiedName) -> QualifiedName {
    with_suffix(name, "_dbops_new")
}

/// The index that was replaced, until it is dropped.
pub(super) fn old_name(name: &QualifiedName) -> QualifiedName {
    with_suffix(name, "_dbops_old")
}

fn with_suffix(name: &QualifiedName, suffix: &str) -> QualifiedName {
    QualifiedName::new(name.schema.clone(), fit("", &name.name, suffix))
}

/// The index of a partition: `events_created_at_idx` of `events` becomes `events_2026_01_created_at_idx` of
/// `events_2026_01`; any other name is put behind the partition's. `attempt` counts names that were taken.
#[cfg(test)]
pub(super) fn partition_index(
    partition: &QualifiedName,
    parent_table: &str,
    parent_index: &str,
    attempt: usize,
) -> QualifiedName {
    let rest = parent_index
        .strip_prefix(parent_table)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(parent_index);
    let number = match attempt {
        0 => String::new(),
        more => more.to_string(),
    };
    let name = fit("", &format!("{}_{rest}", partition.name), &number);
    QualifiedName::new(partition.schema.clone(), name)
}

/// The check that spares SET NOT NULL its scan.
pub(super) fn not_null_check(index: &str) -> String {
    fit("", index, "_dbops_not_null")
}

/// Whether a name is one that REINDEX CONCURRENTLY gives its new or old index.
pub(super) fn is_reindex_debris(name: &str) -> bool {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    base.ends_with("_ccnew") || base.ends_with("_ccold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> QualifiedName {
        QualifiedName::new("public", name)
    }

    #[test]
    fn names_stay_within_63_bytes_and_differ() {
        let long = "größe".repeat(12);
        let other = format!("{}x", "größe".repeat(11));
        for made in [new_name(&name(&long)), old_name(&name(&long))] {
            assert!(made.name.len() <= 63, "{}", made.name);
        }
        assert_ne!(new_name(&name(&long)), old_name(&name(&long)));
        assert_ne!(new_name(&name(&long)), new_name(&name(&other)));
        assert_eq!(new_name(&name("a")), name("a_dbops_new"));
        let first = partition_index(&name(&long), "t", "t_a_idx", 0);
        let second = partition_index(&name(&long), "t", "t_a_idx", 1);
        assert!(first.name.len() <= 63 && second.name.len() <= 63);
        assert_ne!(first, second);
    }

    #[test]
    fn a_partitions_index_is_named_after_the_partition() {
        let leaf = name("events_2026_01");
        assert_eq!(
            partition_index(&leaf, "events", "events_at_idx", 0),
            name("events_2026_01_at_idx")
        );
        assert_eq!(
            partition_index(&leaf, "events", "idx_at", 0),
            name("events_2026_01_idx_at")
        );
        assert_eq!(
            partition_index(&leaf, "events", "idx_at", 2),
            name("events_2026_01_idx_at2")
        );
    }

    #[test]
    fn debris_of_reindex_is_known_by_its_ending() {
        for yes in ["a_ccnew", "a_ccold", "a_ccnew1", "a_ccold12"] {
            assert!(is_reindex_debris(yes), "{yes}");
        }
        for no in ["a_ccnewer", "ccnew_a", "a1"] {
            assert!(!is_reindex_debris(no), "{no}");
        }
    }
}
