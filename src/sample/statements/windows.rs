//! Takes readings in a row on one connection: texts once, counters alone in between.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::types::Type;

use super::column::Column;
use super::delta::difference;
use super::model::{Origin, Snapshot};
use super::read::{Databases, Options, Own, Source, Texts, find, read_from, read_origin};
use super::recording::Recording;
use super::unavailable::ReadError;
use crate::conn::{Session, begin_read};

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// As long as some 400 requests take, by a first look of a second; from a quarter of a second to ten seconds.
    ///
    /// With more requests a window the drift of the traffic hides how calls clump.
    Auto,
    /// So many seconds.
    Seconds(f64),
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Number of windows.
    pub windows: usize,
    /// How long each is.
    pub length: Length,
    /// Entries of which databases.
    pub databases: Databases,
}

const REQUESTS_A_WINDOW: f64 = 400.0;
const SHORTEST_SECONDS: f64 = 0.25;
const LONGEST_SECONDS: f64 = 10.0;
const LOOK: Duration = Duration::from_secs(1);

/// Number of empty statements whose median is the round trip.
const TRIPS: usize = 20;

/// Returns the length of a window in seconds for so many requests a second.
pub fn length_for(requests_per_second: f64) -> f64 {
    if requests_per_second > 0.0 {
        (REQUESTS_A_WINDOW / requests_per_second).clamp(SHORTEST_SECONDS, LONGEST_SECONDS)
    } else {
        LONGEST_SECONDS
    }
}

/// Records windows until all are there, `each` says that it is enough, or `stop` is ready.
///
/// `each` is called after every window with what is there so far.
///
/// # Errors
/// As those of [`read`](super::read::read), before the first window is there. A failure after that ends the recording
/// with the windows so far, and [`Recording::failed`] says why.
pub async fn record(
    session: &mut Session,
    wanted: &Wanted,
    stop: impl Future<Output = ()>,
    mut each: impl FnMut(&Recording) -> ControlFlow<()>,
) -> Result<Recording, ReadError> {
    let mut stop = pin!(stop);
    let round_trip_ms = round_trip(session).await?;
    let (reader, origin) = Reader::find(session, wanted.databases.clone()).await?;
    let mut requests_per_second = None;
    let mut interrupted = false;
    let seconds = match wanted.length {
        Length::Seconds(seconds) => seconds,
        Length::Auto => {
            let before = reader.look(session, &origin).await?;
            interrupted = wait(Instant::now() + LOOK, stop.as_mut()).await;
            let after = reader.look(session, &origin).await?;
            let requests = requests(&before, &after);
            requests_per_second = Some(requests);
            length_for(requests)
        }
    };
    let first = reader.first(session).await?;
    let start = Instant::now();
    let mut recording = Recording::begin(first);
    recording.round_trip_ms = Some(round_trip_ms);
    recording.requests_per_second = requests_per_second;
    recording.interrupted = interrupted;
    recording.window_seconds = seconds;
    let length = Duration::from_secs_f64(seconds.clamp(0.01, 86_400.0));
    let mut due = start;
    while recording.windows.len() < wanted.windows && !recording.interrupted {
        // A reading that took longer than a window makes the next window late, never shorter.
        due += length;
        if due < Instant::now() {
            due = Instant::now() + length;
        }
        if wait(due, stop.as_mut()).await {
            recording.interrupted = true;
            break;
        }
        let is_last = recording.windows.len() + 1 == wanted.windows;
        let next = if is_last {
            reader.everything(session, &recording).await
        } else {
            reader.counters(session, &recording.last.origin).await
        };
        match next {
            Ok(next) => recording.add(next),
            Err(error) if recording.windows.is_empty() => return Err(error),
            Err(error) => {
                recording.failed = Some(error.words());
                break;
            }
        }
        if is_last {
            let last = std::mem::take(&mut recording.last);
            recording.close(last);
        }
        if each(&recording).is_break() {
            break;
        }
    }
    if recording.windows.len() < wanted.windows {
        let last = match &recording.failed {
            None => reader.everything(session, &recording).await.map(Some),
            Some(_) => Ok(None),
        };
        let last = match last {
            Ok(Some(last)) => last,
            Ok(None) => std::mem::take(&mut recording.last),
            Err(error) if recording.windows.is_empty() => return Err(error),
            Err(error) => {
                recording.failed = Some(error.words());
                std::mem::take(&mut recording.last)
            }
        };
        recording.close(last);
    }
    Ok(recording)
}

/// Waits; returns whether `stop` came first.
async fn wait(until: Instant, stop: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    tokio::select! {
        () = stop => true,
        () = sleep_until(until) => false,
    }
}

/// Reads one server again and again.
struct Reader {
    /// All columns.
    wide: Source,
    /// Those alone that tell what ran.
    narrow: Source,
    databases: Databases,
}

impl Reader {
    async fn find(
        session: &mut Session,
        databases: Databases,
    ) -> Result<(Self, Origin), ReadError> {
        let tx = begin_read(session).await?;
        let (wide, origin) = find(&tx, &databases).await?;
        tx.commit().await.context("ending a reading")?;
        let reader = Self {
            narrow: wide.narrow(),
            wide,
            databases,
        };
        Ok((reader, origin))
    }

    /// Reads everything, with texts.
    async fn first(&self, session: &mut Session) -> Result<Snapshot, ReadError> {
        let tx = begin_read(session).await?;
        let (_, origin) = find(&tx, &self.databases).await?;
        let first = read_from(&tx, &self.wide, origin, &self.options(Texts::All)).await?;
        tx.commit().await.context("ending a reading")?;
        Ok(first)
    }

    /// Looks how busy the server is.
    async fn look(&self, session: &mut Session, origin: &Origin) -> Result<Look, ReadError> {
        Ok(Look {
            snapshot: self.counters(session, origin).await?,
            commits: commits(session).await?,
        })
    }

    /// dbops's own entries are left out at the end: what is left out of one reading would be new in the next.
    fn options(&self, texts: Texts) -> Options {
        Options {
            databases: self.databases.clone(),
            texts,
            own: Own::Include,
        }
    }

    /// Reads counters alone.
    async fn counters(
        &self,
        session: &mut Session,
        before: &Origin,
    ) -> Result<Snapshot, ReadError> {
        let tx = begin_read(session).await?;
        let snapshot = self
            .narrow
            .counters(&tx, before.clone(), &self.options(Texts::None))
            .await?;
        tx.commit().await.context("ending a reading")?;
        Ok(snapshot)
    }

    /// Reads all columns once more, and the texts of what came since the beginning.
    async fn everything(
        &self,
        session: &mut Session,
        recording: &Recording,
    ) -> Result<Snapshot, ReadError> {
        let known = recording.first.entries.iter().map(|entry| entry.key);
        let options = self.options(Texts::Missing(known.collect()));
        let tx = begin_read(session).await?;
        let mut origin = read_origin(&tx).await?;
        let first = &recording.first.origin;
        origin.settings.remove("shared_preload_libraries");
        origin.extension.clone_from(&first.extension);
        origin.one_database.clone_from(&first.one_database);
        let last = read_from(&tx, &self.wide, origin, &options).await?;
        tx.commit().await.context("ending a reading")?;
        Ok(last)
    }
}

/// What a look at a server saw.
struct Look {
    snapshot: Snapshot,
    commits: f64,
}

/// Returns the requests a second: calls of the busiest statement, or transactions where these are fewer.
///
/// A statement in a loop is called more often than requests come, and a transaction may be a single statement.
fn requests(before: &Look, after: &Look) -> f64 {
    let found = difference(&before.snapshot, &after.snapshot);
    let calls = found
        .changes
        .iter()
        .filter(|change| change.before.is_some());
    let busiest = calls
        .map(|change| change.counters.sum(Column::Calls))
        .fold(0.0, f64::max);
    let requests = match after.commits - before.commits {
        // Statistics of databases lag behind by up to a second.
        commits if commits > 0.0 => busiest.min(commits),
        _ => busiest,
    };
    requests / found.seconds.max(0.1)
}

/// Returns the transactions that all databases committed.
async fn commits(session: &mut Session) -> Result<f64, ReadError> {
    let tx = begin_read(session).await?;
    let rows = tx
        .query_typed(
            "select /* dbops */ pg_catalog.sum(d.xact_commit)::pg_catalog.float8 as commits from pg_catalog.pg_stat_database as d",
            &[],
        )
        .await
        .context("reading how many transactions were committed")?;
    let commits = rows.first().map(|row| row.try_get::<_, Option<f64>>(0));
    let commits = commits.transpose().context("reading `commits`")?.flatten();
    tx.commit().await.context("ending a reading")?;
    Ok(commits.unwrap_or_default())
}

/// Returns the median of some round trips in milliseconds.
async fn round_trip(session: &mut Session) -> Result<f64, ReadError> {
    let tx = begin_read(session).await?;
    let mut trips = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let begin = Instant::now();
        let no_parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 0] = [];
        tx.query_typed("select /* dbops */", &no_parameters)
            .await
            .context("measuring the round trip")?;
        trips.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    tx.commit().await.context("ending a reading")?;
    trips.sort_by(f64::total_cmp);
    Ok(trips.get(TRIPS / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_long_as_four_hundred_requests_within_bounds() {
        for (requests, seconds) in [
            (0.0, 10.0),
            (20.0, 10.0),
            (200.0, 2.0),
            (400.0, 1.0),
            (1_600.0, 0.25),
            (50_000.0, 0.25),
        ] {
            assert_eq!(length_for(requests), seconds, "{requests}");
        }
    }
}
