//! What is under an index's name right now, and what a statement that did not succeed left behind.

use anyhow::Context;

use super::observer::Observer;
use crate::changes::changeset::{Action, IndexChange};
use crate::ident::QualifiedName;

const STATE: &str = include_str!("../../sql/observe/index_state.sql");
const INVALID: &str = include_str!("../../sql/observe/invalid_indexes.sql");

/// A relation that bears an index's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) oid: i64,
    /// Whether it is an index of the table that is meant.
    pub(super) of_table: bool,
    /// `indisvalid`.
    pub(super) valid: bool,
    /// `indisready`: writes maintain it.
    pub(super) ready: bool,
    /// `indisreplident`.
    pub(super) replica_identity: bool,
    /// Whether a constraint, a foreign key of another table among them, relies on it.
    pub(super) constrained: bool,
}

/// Returns why an index that is to be dropped is not the one that was planned for.
pub(super) fn not_the_planned(change: &IndexChange, state: State) -> Option<String> {
    let is = if !state.of_table {
        return Some(format!("is not an index of {} any more", change.table));
    } else if change.oid.is_some_and(|oid| i64::from(oid) != state.oid) {
        "another session has replaced it"
    } else if change.invalid && state.valid {
        "another session has repaired it"
    } else if state.replica_identity {
        "it is the replica identity of its table now"
    } else if state.constrained {
        "a constraint relies on it now"
    } else {
        return None;
    };
    Some(format!(
        "is not the index that was planned for any more: {is}"
    ))
}

/// An invalid index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) oid: i64,
    pub(super) name: QualifiedName,
}

impl Observer {
    /// Returns what bears the name; `None`: nothing.
    pub(super) async fn index_state(&self, change: &IndexChange) -> anyhow::Result<Option<State>> {
        let row = self
            .session
            .query_opt(STATE, &[&change.name.sql(), &change.table.sql()])
            .await
            .with_context(|| format!("reading the state of {}", change.name))?;
        row.map(|row| {
            let flag = |name: &str| -> anyhow::Result<bool> {
                Ok(row.try_get::<_, Option<bool>>(name)?.unwrap_or(false))
            };
            Ok(State {
                oid: row.try_get("oid")?,
                of_table: flag("of_table")?,
                valid: flag("valid")?,
                ready: flag("ready")?,
                replica_identity: flag("replica_identity")?,
                constrained: flag("constrained")?,
            })
        })
        .transpose()
    }

    /// Returns the invalid indexes of a table.
    pub(super) async fn invalid_indexes(
        &self,
        table: &QualifiedName,
    ) -> anyhow::Result<Vec<Invalid>> {
        let rows = self
            .session
            .query(INVALID, &[&table.sql()])
            .await
            .with_context(|| format!("reading the invalid indexes of {table}"))?;
        rows.iter()
            .map(|row| {
                let schema: String = row.try_get("schema")?;
                let name: String = row.try_get("name")?;
                Ok(Invalid {
                    oid: row.try_get("oid")?,
                    name: QualifiedName::new(schema, name),
                })
            })
            .collect()
    }
}

/// What was there before a statement was sent.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) state: Option<State>,
    pub(super) invalid: Vec<Invalid>,
}

/// Returns the invalid indexes that the statement itself left behind.
///
/// `built` is the index that the server said this statement was building, and `failed` whether the
/// server refused it half-way. A build that was cancelled before anybody saw which index it makes has
/// made none yet: it was still waiting for the table.
pub(super) fn leftovers(
    action: Action,
    change: &IndexChange,
    before: &Before,
    after: &[Invalid],
    built: Option<i64>,
    failed: bool,
) -> Vec<Invalid> {
    let new = after.iter().filter(|index| {
        before.invalid.iter().all(|old| old.oid != index.oid)
            && before.state.is_none_or(|old| old.oid != index.oid)
    });
    match action {
        Action::CreateIndex => new
            .filter(|index| index.name == change.name)
            .filter(|index| built == Some(index.oid) || (built.is_none() && failed))
            .cloned()
            .collect(),
        Action::ReindexIndex => {
            let swapped = before.state.map(|old| old.oid);
            after
                .iter()
                .filter(|index| {
                    let fresh = before.invalid.iter().all(|old| old.oid != index.oid);
                    // The old half of a rebuild that got past its swap keeps its oid under a new name.
                    (fresh || swapped == Some(index.oid)) && is_transient(&index.name.name)
                })
                .cloned()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether REINDEX CONCURRENTLY gives such names: `…_ccnew`, `…_ccold`, with a number where they are taken.
///
/// Source: `ReindexRelationConcurrently` in `indexcmds.c`.
fn is_transient(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.ends_with("_ccnew") || stem.ends_with("_ccold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> IndexChange {
        IndexChange {
            name: QualifiedName::new("public", "i"),
            table: QualifiedName::new("public", "t"),
            rows_estimate: None,
            bytes: None,
            hot_cost: None,
            follows: None,
            oid: None,
            invalid: false,
        }
    }

    fn invalid(oid: i64, name: &str) -> Invalid {
        Invalid {
            oid,
            name: QualifiedName::new("public", name),
        }
    }

    #[test]
    fn only_what_this_statement_made_is_a_leftover_of_it() {
        let found = |built, failed, after: &[Invalid]| {
            leftovers(
                Action::CreateIndex,
                &change(),
                &Before::default(),
                after,
                built,
                failed,
            )
            .len()
        };
        assert_eq!(found(Some(7), false, &[invalid(7, "i")]), 1);
        // Another session made one of the same name meanwhile.
        assert_eq!(found(Some(7), false, &[invalid(8, "i")]), 0);
        assert_eq!(found(None, false, &[invalid(8, "i")]), 0);
        assert_eq!(found(None, true, &[invalid(8, "i")]), 1);
        assert_eq!(found(Some(7), true, &[invalid(7, "other")]), 0);
    }

    #[test]
    fn only_the_index_that_was_planned_for_is_dropped() {
        let planned = IndexChange {
            oid: Some(1),
            invalid: true,
            ..change()
        };
        let is = |change: &dyn Fn(&mut State)| {
            let mut state = State {
                oid: 1,
                of_table: true,
                valid: false,
                ready: false,
                replica_identity: false,
                constrained: false,
            };
            change(&mut state);
            not_the_planned(&planned, state).is_none()
        };
        assert!(is(&|_| {}));
        assert!(!is(&|state| state.oid = 2));
        assert!(!is(&|state| state.valid = true));
        assert!(!is(&|state| state.replica_identity = true));
        assert!(!is(&|state| state.constrained = true));
        assert!(!is(&|state| state.of_table = false));
    }

    #[test]
    fn a_rebuild_leaves_only_its_own_transient_indexes() {
        let before = Before {
            state: Some(State {
                oid: 1,
                of_table: true,
                valid: true,
                ready: true,
                replica_identity: false,
                constrained: false,
            }),
            invalid: vec![invalid(5, "i_ccnew")],
        };
        let after = [
            invalid(5, "i_ccnew"),
            invalid(6, "i_ccnew1"),
            invalid(1, "i_ccold"),
            invalid(9, "dead"),
        ];
        let found = leftovers(
            Action::ReindexIndex,
            &change(),
            &before,
            &after,
            None,
            false,
        );
        assert_eq!(found, [invalid(6, "i_ccnew1"), invalid(1, "i_ccold")]);
        assert!(!is_transient("i_ccnewest"));
    }
}
