//! Entries of dbops's own statements, left out of readings and counted. Pure.

use super::column::Column;
use super::model::{Entry, Origin};
use super::read::is_own;

/// Leaves dbops's own entries out, and counts them: others can write the mark too.
pub(super) fn leave_out_own(entries: &mut Vec<Entry>, origin: &mut Origin) {
    let time = |entry: &Entry| entry.counters.sum(Column::TotalExecTime);
    let all: f64 = entries.iter().map(time).sum();
    let mut own_ms = 0.0;
    entries.retain(|entry| {
        let own = entry.text.as_deref().is_some_and(is_own);
        if own {
            origin.own += 1;
            origin.own_calls += entry.counters.sum(Column::Calls);
            own_ms += time(entry);
        }
        !own
    });
    if all > 0.0 {
        origin.own_share = own_ms / all;
    }
}
