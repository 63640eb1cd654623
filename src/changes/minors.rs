//! Faults of single PostgreSQL minor versions that a planner must know of.

/// Whether a detached partition with a foreign key to a partitioned table stops being checked.
///
/// Fixed in 13.17, 14.14, 15.9, 16.5 and 17.1.
/// Source: <https://www.postgresql.org/docs/release/17.1/>.
pub(crate) const fn detach_loses_foreign_keys(version_num: i32) -> bool {
    let fixed_in = match version_num / 10_000 {
        13 => 17,
        14 => 14,
        15 => 9,
        16 => 5,
        17 => 1,
        _ => 0,
    };
    version_num % 10_000 < fixed_in
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_minors_lose_foreign_keys() {
        for (version_num, loses) in [
            (130_016, true),
            (130_017, false),
            (140_013, true),
            (150_008, true),
            (150_018, false),
            (160_005, false),
            (170_000, true),
            (180_000, false),
        ] {
            assert_eq!(
                detach_loses_foreign_keys(version_num),
                loses,
                "{version_num}"
            );
        }
    }
}
