//! Positions in the WAL, as the 64-bit numbers that they are.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A position in the WAL, in bytes since its beginning. Written as two hexadecimal halves: `1/10000`.
///
/// Source: <https://www.postgresql.org/docs/18/datatype-pg-lsn.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Returns how many bytes this position is behind another; 0 where it is not behind.
    pub fn behind(self, other: Self) -> u64 {
        other.0.saturating_sub(self.0)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a position in the WAL");
        let half = |half: &str| {
            let hex = (1..=8).contains(&half.len()) && half.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| u64::from_str_radix(half, 16).ok())
                .flatten()
                .ok_or_else(wrong)
        };
        let (high, low) = text.split_once('/').ok_or_else(wrong)?;
        Ok(Self((half(high)? << 32) | half(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_over_the_border_of_the_halves_is_true() {
        let primary: Lsn = "1/00010000".parse().unwrap();
        let replica: Lsn = "0/FFFF0000".parse().unwrap();
        assert_eq!(replica.behind(primary), 131_072);
        assert_eq!(primary.behind(replica), 0);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "1/2/3",
            "g/0",
            "+1/0",
            "123456789/0",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn positions_come_back_and_gaps_are_differences(a: u64, b: u64) {
            let (one, two) = (Lsn(a), Lsn(b));
            prop_assert_eq!(one.to_string().parse::<Lsn>(), Ok(one));
            prop_assert_eq!(one.behind(two), b.saturating_sub(a));
            prop_assert_eq!(one < two, a < b);
            prop_assert_eq!(one.behind(two) == 0, one >= two);
        }
    }
}
