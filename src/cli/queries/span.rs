//! Several stored readings in a row, as one recording.

use anyhow::bail;

use super::sides::narrow;
use super::source::Place;
use crate::conn::{Session, begin_read};
use crate::failure::Failure;
use crate::history::span::Span;
use crate::history::statements::{Which, list, load};
use crate::sample::statements::recording::Recording;

/// More readings than this tell nothing more, and take memory.
const MOST: usize = 2_000;

/// Reads the stored readings of a node, one after the other; of one database where that is asked for or where one of
/// them holds no other.
///
/// # Errors
/// Usage, connection, or that the readings hold different databases.
pub(super) async fn recording(
    session: &mut Session,
    place: &Place<'_>,
    span: &Span,
    only: Option<&str>,
) -> anyhow::Result<Recording> {
    let tx = begin_read(session).await?;
    let stored = list(&tx).await?.unwrap_or_default();
    let ids = span.choose(&stored, &place.name)?;
    if ids.len() > MOST {
        bail!(
            Failure::usage(format!(
                "{} readings are stored in this span, {MOST} are read at most",
                ids.len()
            ))
            .hint("choose a later beginning or an earlier end")
        );
    }
    let mut only = only.map(str::to_owned);
    // Each reading is dropped once its difference is taken; so where a later one holds one database alone, all begins
    // again with that one.
    'again: loop {
        let mut recording: Option<Recording> = None;
        for id in &ids {
            let mut next = load(&tx, &Which::Id(*id), None).await?;
            let held = next.origin.one_database.clone();
            narrow(only.as_deref(), &mut [&mut next])?;
            if only.is_none() && held.is_some() {
                only = held;
                continue 'again;
            }
            match &mut recording {
                None => recording = Some(Recording::begin(next)),
                Some(recording) => recording.add(next),
            }
        }
        let Some(mut recording) = recording else {
            bail!(
                Failure::usage("no reading is stored in this span")
                    .hint("dbops queries snapshot --list shows those that are")
            );
        };
        recording.set_mean_length();
        return Ok(recording);
    }
}
