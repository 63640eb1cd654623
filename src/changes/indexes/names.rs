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

/// The index of a partition: its table's name and that of the partitioned index, unlike any name that the server
/// gives by itself. `attempt` counts names that were taken.
pub(super) fn partition_index(
    partition: &QualifiedName,
    parent_index: &str,
    attempt: usize,
) -> QualifiedName {
    let number = match attempt {
        0 => String::new(),
        more => more.to_string(),
    };
    let name = fit("", &format!("{}_{parent_index}", partition.name), &number);
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
        let first = partition_index(&name(&long), "t_a_idx", 0);
        let second = partition_index(&name(&long), "t_a_idx", 1);
        assert!(first.name.len() <= 63 && second.name.len() <= 63);
        assert_ne!(first, second);
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
