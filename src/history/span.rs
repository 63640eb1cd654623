//! Stored readings between two: which ones, in which order. Pure.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::statements::{Stored, Which};
use crate::failure::Failure;

/// Readings from one to another, both included: `base..last`, `3..17`, `2027-03-01T12:00:00Z..`, `..main`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first; `None`: the oldest that is stored.
    pub from: Option<Which>,
    /// The last; `None`: the newest that is stored.
    pub to: Option<Which>,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "two stored readings with `..` between: base..last, 3..17, 2027-03-01T12:00:00Z.."
                .to_owned()
        };
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let end = |text: &str| -> Result<Option<Which>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some)
        };
        let (from, to) = (end(from)?, end(to)?);
        if from.is_none() && to.is_none() {
            return Err(wrong());
        }
        Ok(Self { from, to })
    }
}

impl Span {
    /// Returns the numbers of a node's readings in the span, oldest first.
    ///
    /// An instant is a bound; any other end is a reading of its own, and must be there.
    ///
    /// # Errors
    /// A usage failure when an end is not stored, or the last one was taken before the first.
    pub fn choose(&self, stored: &[Stored], node: &str) -> Result<Vec<i64>, Failure> {
        let mut all: Vec<&Stored> = stored.iter().filter(|one| one.node == node).collect();
        all.sort_by_key(|one| (one.taken_at, one.id));
        let bounds = |which: &Which| -> Result<(DateTime<Utc>, Option<i64>), Failure> {
            let (found, what) = match which {
                Which::At(at) => return Ok((*at, None)),
                Which::Last => (all.last(), "no reading is stored".to_owned()),
                Which::Id(id) => (
                    all.iter().find(|one| one.id == *id),
                    format!("no reading with the number {id} is stored of {node}"),
                ),
                Which::Name(name) => (
                    all.iter().find(|one| one.name.as_ref() == Some(name)),
                    format!("no reading with the name {name} is stored of {node}"),
                ),
            };
            found
                .map(|one| (one.taken_at, Some(one.id)))
                .ok_or_else(|| {
                    Failure::usage(what).hint("dbops queries snapshot --list shows those that are")
                })
        };
        let from = self.from.as_ref().map(&bounds).transpose()?;
        let to = self.to.as_ref().map(&bounds).transpose()?;
        if let (Some((from, _)), Some((to, _))) = (from, to)
            && to < from
        {
            return Err(Failure::usage(
                "the last reading was taken before the first: write the older one first",
            ));
        }
        let inside = |one: &Stored| {
            // Several readings may be of one instant: those with numbers outside are not meant.
            from.is_none_or(|(at, id)| (one.taken_at, id.map(|_| one.id)) >= (at, id))
                && to.is_none_or(|(at, id)| (one.taken_at, id.map(|_| one.id)) <= (at, id))
        };
        Ok(all
            .into_iter()
            .filter(|one| inside(one))
            .map(|one| one.id)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(id: i64, minute: u32, name: Option<&str>, node: &str) -> Stored {
        Stored {
            id,
            taken_at: format!("2027-03-01T12:{minute:02}:00Z").parse().unwrap(),
            name: name.map(str::to_owned),
            node: node.to_owned(),
            extension: "1.10".to_owned(),
            statements: 1,
            calls: 1.0,
            bytes: 1,
        }
    }

    #[test]
    fn spans_are_read_and_anything_else_is_not() {
        let span = |text: &str| text.parse::<Span>();
        let both = span("base..last").unwrap();
        assert_eq!(both.from, Some(Which::Name("base".to_owned())));
        assert_eq!(both.to, Some(Which::Last));
        assert_eq!(span("3..").unwrap().to, None);
        assert_eq!(
            span("..v2.1").unwrap().to,
            Some(Which::Name("v2.1".to_owned()))
        );
        let instants = span("2027-03-01T12:00:00Z..2027-03-01T13:00:00+01:00").unwrap();
        assert!(matches!(instants.to, Some(Which::At(_))));
        for text in [
            "..",
            "base",
            "../file.gz",
            "a/../b",
            "a b..c",
            "dir..x.gz/y",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn readings_of_the_node_between_both_ends_are_chosen_oldest_first() {
        let all = [
            stored(5, 40, None, "main"),
            stored(4, 30, Some("after"), "main"),
            stored(9, 30, None, "main"),
            stored(7, 25, None, "main/replica"),
            stored(3, 20, None, "main"),
            stored(2, 10, Some("base"), "main"),
            stored(1, 0, None, "main"),
        ];
        let ids = |text: &str| {
            let span: Span = text.parse().unwrap();
            span.choose(&all, "main")
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(ids("base..after"), Ok(vec![2, 3, 4]));
        assert_eq!(ids("3..last"), Ok(vec![3, 4, 9, 5]));
        assert_eq!(ids("..base"), Ok(vec![1, 2]));
        assert_eq!(ids("after.."), Ok(vec![4, 9, 5]));
        assert_eq!(
            ids("2027-03-01T12:05:00Z..2027-03-01T12:30:00Z"),
            Ok(vec![2, 3, 4, 9])
        );
        assert_eq!(ids("2027-04-01T12:05:00Z.."), Ok(vec![]));
        assert!(
            ids("after..base")
                .unwrap_err()
                .contains("write the older one first")
        );
        assert!(
            ids("7..last")
                .unwrap_err()
                .contains("number 7 is stored of main")
        );
        assert!(ids("nobody..").unwrap_err().contains("name nobody"));
    }
}
