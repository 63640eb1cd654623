//! What stored readings tell `dbops check` of statements: which became slower, and which look like loops.

use std::sync::Arc;

use super::compare::sides;
use super::n_plus_one::{of_database, read_keys};
use chrono::{DateTime, TimeDelta, Utc};

use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::n_plus_one::gate::Quiet;
use crate::checks::n_plus_one::recorded::of_even;
use crate::checks::n_plus_one::{Options, detect};
use crate::checks::queries::compare::{Change, Identity, Limits, compare};
use crate::checks::queries::kind;
use crate::checks::reason::Reason;
use crate::conn::{Session, begin_read};
use crate::history::statements::{Stored, Which, list, load};
use crate::plan_file::rule::Rule;
use crate::sample::statements::recording::Recording;

/// Windows that loops are looked for in: so many tell them well.
const WINDOWS: usize = 20;
/// With fewer nothing is certain.
const LEAST_WINDOWS: usize = 3;

/// Readings older than this say nothing of now.
const MOST_OLD: TimeDelta = TimeDelta::days(2);

/// Figures, or why there are none.
pub(in crate::cli) type Found = Result<Vec<Measured>, (Reason, String)>;

fn no_sample(why: String) -> anyhow::Result<Found> {
    Ok(Err((Reason::NoSample, why)))
}

/// Why readings that nobody has taken for long say nothing of now.
fn stale(all: &[Stored], now: DateTime<Utc>) -> Option<(Reason, String)> {
    let newest = all.first()?;
    (now - newest.taken_at > MOST_OLD).then(|| {
        let at = newest.taken_at.format("%Y-%m-%d %H:%M UTC");
        let why = format!("the last reading was stored at {at}: let cron take them");
        (Reason::StaleSample, why)
    })
}

/// Returns the stored readings of a node, newest first.
async fn stored(session: &mut Session, node: &str) -> anyhow::Result<Vec<Stored>> {
    let tx = begin_read(session).await?;
    let mut all = list(&tx).await?.unwrap_or_default();
    all.retain(|one| one.node == node);
    Ok(all)
}

/// By how much each statement became slower between the last two stored readings, in per cent; 0 where nothing proves it.
///
/// # Errors
/// The server refuses, or a reading cannot be understood.
pub(in crate::cli) async fn regressions(
    session: &mut Session,
    node: &str,
    rules: &[Rule],
    now: DateTime<Utc>,
) -> anyhow::Result<Found> {
    let all = stored(session, node).await?;
    if let Some(stale) = stale(&all, now) {
        return Ok(Err(stale));
    }
    let [after, before, ..] = all.as_slice() else {
        return no_sample(format!(
            "{} stored, two are compared: `dbops queries snapshot` stores them",
            crate::render::words::plural(all.len(), "reading")
        ));
    };
    let tx = begin_read(session).await?;
    let first = load(&tx, &Which::Id(before.id), None).await?;
    let second = load(&tx, &Which::Id(after.id), None).await?;
    drop(tx);
    if first.origin.one_database != second.origin.one_database {
        return no_sample("the last two stored readings hold different databases".to_owned());
    }
    let (first, second, _) = sides(&first, &second)?;
    let mut limits = Limits::default();
    // Any slowdown that is proven and that a rule asks for is shown.
    let least = rules
        .iter()
        .filter(|rule| rule.metric == "query.regression")
        .flat_map(|rule| {
            let overridden = rule.overrides.iter();
            overridden
                .flat_map(|other| [other.warn, other.critical])
                .chain([rule.warn, rule.critical])
        })
        .flatten()
        .map(|threshold| 1.0 + threshold.base() / 100.0)
        .fold(limits.ratio, f64::min);
    limits.ratio = least.max(1.0);
    let comparison = compare(&first, &second, &limits);
    let basis: Arc<str> = format!(
        "stored readings {} and {}, taken {}",
        before.id,
        after.id,
        after.taken_at.format("%Y-%m-%d %H:%M UTC")
    )
    .into();
    let slower = |identity: &Identity| {
        comparison
            .changed
            .iter()
            .find(|one| one.identity == *identity && one.changes.contains(&Change::Slower))
            .and_then(|one| one.mean_ratio)
    };
    // New ones, and those with few calls, were not compared.
    let enough: std::collections::BTreeSet<&Identity> = first
        .statements
        .iter()
        .filter(|one| one.figures.calls >= limits.calls)
        .map(|one| &one.identity)
        .collect();
    let compared = second
        .statements
        .iter()
        .filter(|one| one.figures.calls >= limits.calls && enough.contains(&one.identity));
    let figures = compared.map(|one| Measured {
        metric: "query.regression",
        labels: Arc::new(labels(
            node,
            &one.identity.database,
            &one.identity.role,
            &one.identity.fingerprint,
            one.text.as_deref().unwrap_or_default(),
            one.identity.nested,
        )),
        reading: Reading::Value(slower(&one.identity).map_or(0.0, |ratio| (ratio - 1.0) * 100.0)),
        basis: Arc::clone(&basis),
        resolution: None,
    });
    let figures: Vec<Measured> = figures.collect();
    if figures.is_empty() {
        return no_sample(format!(
            "no statement has {} calls on both sides of the last two stored readings",
            limits.calls
        ));
    }
    Ok(Ok(figures))
}

/// How much each statement looks like one of a loop in the last stored readings, 0 to 100.
///
/// # Errors
/// The server refuses, or a reading cannot be understood.
pub(in crate::cli) async fn loops(
    session: &mut Session,
    node: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Found> {
    let all = stored(session, node).await?;
    if let Some(stale) = stale(&all, now) {
        return Ok(Err(stale));
    }
    let wanted = all.iter().take(WINDOWS + 1).rev();
    let ids: Vec<i64> = wanted.map(|one| one.id).collect();
    if ids.len() <= LEAST_WINDOWS {
        return no_sample(format!(
            "{} stored, loops show in {} and more: `dbops queries snapshot` stores them, and \
             `dbops queries n-plus-one` looks at the server itself",
            crate::render::words::plural(ids.len(), "reading"),
            LEAST_WINDOWS + 1
        ));
    }
    let (database, schema) = read_keys(session).await?;
    let tx = begin_read(session).await?;
    let mut recording: Option<Recording> = None;
    for id in &ids {
        let next = load(&tx, &Which::Id(*id), None).await?;
        match &mut recording {
            // What is counted of other databases is no window of these.
            Some(recording) if recording.last.origin.one_database == next.origin.one_database => {
                recording.add(next);
            }
            _ => recording = Some(Recording::begin(next)),
        }
    }
    drop(tx);
    let Some(mut recording) = recording else {
        return no_sample("no reading is stored".to_owned());
    };
    recording.set_mean_length();
    let even = recording.even();
    if even.windows.len() < LEAST_WINDOWS {
        return no_sample(format!(
            "{} of the last stored readings can be used",
            crate::render::words::plural(even.windows.len(), "window")
        ));
    }
    let schemas = of_database(&recording.last, &database, &schema);
    let options = Options {
        evicted: recording.windows.iter().any(|one| one.has_evictions()),
        ..Options::default()
    };
    let report = detect(&of_even(&recording, &even), &schemas, &options);
    let basis: Arc<str> = format!("{} windows of stored readings", even.windows.len()).into();
    let name = |names: &std::collections::BTreeMap<u32, String>, oid: u32| {
        names.get(&oid).cloned().unwrap_or_else(|| oid.to_string())
    };
    let one = |dbid, userid, fingerprint: &str, text: &str, score| Measured {
        metric: "query.n_plus_one_score",
        labels: Arc::new(labels(
            node,
            &name(&recording.last.databases, dbid),
            &name(&recording.last.roles, userid),
            fingerprint,
            text,
            false,
        )),
        reading: Reading::Value(score),
        basis: Arc::clone(&basis),
        resolution: None,
    };
    let suspects = report.suspects.iter().map(|found| {
        one(
            found.dbid,
            found.userid,
            &found.fingerprint,
            &found.text,
            found.score,
        )
    });
    let judged = report
        .quiet
        .iter()
        .filter(|found| found.reason != Quiet::FewCalls);
    let quiet = judged.map(|found| {
        one(
            found.dbid,
            found.userid,
            &found.fingerprint,
            &found.text,
            0.0,
        )
    });
    Ok(Ok(suspects.chain(quiet).collect()))
}

fn labels(
    target: &str,
    database: &str,
    role: &str,
    fingerprint: &str,
    text: &str,
    nested: bool,
) -> Labels {
    let mut labels = Labels::new();
    for (name, value) in [
        ("target", target),
        ("database", database),
        ("role", role),
        ("kind", kind::word(kind::kind(text))),
        ("fingerprint", fingerprint),
        ("text", text),
    ] {
        labels.insert(name.to_owned(), value.into());
    }
    if nested {
        labels.insert("nested".to_owned(), "true".into());
    }
    for (key, value) in crate::syntax::shape::tags(text) {
        labels.insert(format!("tag:{key}"), value.into());
    }
    labels
}
