//! What the commands of replication share: their nodes, one sample of them, the probe.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::apply::probe::{self, Probed};
use crate::cli::context::{Context, Selected};
use crate::conn::failure::{describe_error, server_error_in};
use crate::conn::target::Node;
use crate::conn::{Session, Settings};
use crate::failure::Failure;
use crate::sample::replication::follow::{Confirmed, Mark, confirmed, replayed};
use crate::sample::replication::model::{Declared, Facts, Followed, Probe, Sample};
use crate::sample::replication::rate::WalRate;
use crate::sample::replication::read::{Linked, connect_all, primary_end, primary_mut, read};

/// Longest wait for the primary to commit the probe; the server itself gives up after 2 s.
const PROBE_PATIENCE: Duration = Duration::from_secs(4);

/// A node and how to reach it.
pub(in crate::cli) type Place = (Declared, Settings);

/// Returns the nodes of a target, the primary first; with `wanted` those alone.
///
/// # Errors
/// A setting that is wrong, or a node that is not declared.
pub(super) fn places(
    wanted: &[String],
    context: &Context,
    selected: &Selected,
) -> anyhow::Result<Vec<Place>> {
    let mut all = vec![Declared {
        name: "primary".to_owned(),
        required: true,
        ..Declared::default()
    }];
    let Some(target) = &selected.target else {
        let settings = context.settings(selected)?;
        if !wanted.is_empty() {
            return Err(Failure::usage("--node needs the target of a plan file").into());
        }
        all[0].name = "server".to_owned();
        return Ok(vec![(all.remove(0), settings)]);
    };
    for replica in &target.replicas {
        all.push(Declared {
            name: replica.name.clone().unwrap_or_default(),
            replica: true,
            upstream: replica.upstream.clone(),
            app_name: replica.app_name.clone(),
            required: replica.required.unwrap_or(true),
            apply_delay_ms: replica
                .apply_delay
                .and_then(|delay| i64::try_from(delay.0).ok()),
            labels: replica.rule_labels(),
        });
    }
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !all.iter().any(|node| node.name == **name))
    {
        let known: Vec<&str> = all.iter().map(|node| node.name.as_str()).collect();
        return Err(
            Failure::usage(format!("target {} has no node `{unknown}`", selected.name))
                .hint(format!("its nodes: {}", known.join(", ")))
                .into(),
        );
    }
    all.into_iter()
        .filter(|node| wanted.is_empty() || wanted.contains(&node.name))
        .map(|declared| {
            let node = if declared.replica {
                Node::Replica(&declared.name)
            } else {
                Node::Primary
            };
            let settings = context.settings_of(selected, node)?;
            Ok((declared, settings))
        })
        .collect()
}

/// Whether a commit is made and waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probing {
    /// It is.
    For {
        /// How long it is waited for, beside the delay that a replica is set to keep.
        patience: Duration,
        /// A replica that is set to keep a longer delay than this is not waited for.
        longest_delay: Duration,
    },
    /// It is not: nothing is written.
    Off,
}

impl Probing {
    /// A delay of several times the patience is waited for; an hour is for the servers' own figures.
    pub(super) fn patient(patience: Duration) -> Self {
        Self::For {
            patience,
            longest_delay: patience * 4,
        }
    }
}

/// Takes one sample of a target's nodes.
pub(super) async fn gather(places: Vec<Place>, limit: Duration, probing: Probing) -> Sample {
    let mut linked = connect_all(places, limit).await;
    let mut sample = read(&mut linked, limit).await;
    match probing {
        Probing::Off => sample.passive_because = Some("--no-probe".to_owned()),
        Probing::For {
            patience,
            longest_delay,
        } => match probe_all(&mut linked, &sample, patience, longest_delay).await {
            Ok(probe) => sample.probe = Some(probe),
            Err(why) => sample.passive_because = Some(why),
        },
    }
    sample
}

/// The same, and how much WAL the primary writes: over `window` from now on.
pub(super) async fn gather_with_rate(
    places: Vec<Place>,
    limit: Duration,
    window: Duration,
) -> Sample {
    let mut linked = connect_all(places, limit).await;
    let before = primary_end(&linked, limit).await;
    let started = Instant::now();
    tokio::time::sleep(window).await;
    let after = primary_end(&linked, limit).await;
    let seconds = started.elapsed().as_secs_f64();
    let mut sample = read(&mut linked, limit).await;
    let both = before.zip(after);
    sample.wal_rate = both.and_then(|(before, after)| WalRate::between(before, after, seconds));
    sample
}

/// Commits a probe and waits for it on every replica that can replay it.
///
/// # Errors
/// Why nothing was written.
async fn probe_all(
    linked: &mut [Linked],
    sample: &Sample,
    patience: Duration,
    longest_delay: Duration,
) -> Result<Probe, String> {
    let (_, top) = sample.writer()?;
    let mark = mark(linked).await.map_err(|unmarked| unmarked.why)?;
    let facts: BTreeMap<&str, &Facts> = (sample.nodes.iter())
        .filter_map(|node| Some((node.declared.name.as_str(), node.facts.as_ref().ok()?)))
        .collect();
    let until = mark.done + patience;
    let able: Vec<(&Linked, Duration)> = (linked.iter())
        .filter_map(|one| {
            let facts = facts.get(one.declared.name.as_str())?;
            let delay = Duration::from_millis(facts.node.apply_delay_ms.unsigned_abs());
            // Positions of another cluster say nothing of this one.
            (can_replay(facts) && facts.cannot_follow(top).is_none()).then_some((one, delay))
        })
        .collect();
    let replayed = join_all(able.into_iter().map(async |(one, delay)| {
        let followed = if delay > longest_delay {
            Followed::Delayed {
                delay_s: delay.as_secs_f64(),
            }
        } else {
            follow(one, mark, until + delay).await
        };
        (one.declared.name.clone(), followed)
    }))
    .await;
    // By then those that are there have confirmed it; the others are waited for as long.
    let (confirmed, _) = match primary_mut(linked) {
        Some(session) => confirmed(session, mark, until, Confirmed::default()).await,
        None => Default::default(),
    };
    Ok(Probe {
        lsn: mark.lsn,
        replayed: replayed.into_iter().collect(),
        confirmed,
    })
}

/// What is paused or receives nothing is known to; waiting for it would only take time.
fn can_replay(facts: &Facts) -> bool {
    facts.position.in_recovery
        && facts.node.paused != Some(true)
        && (facts.receiver.is_some() || facts.node.restores)
}

/// Why no probe was committed.
#[derive(Debug)]
pub(in crate::cli) struct Unmarked {
    /// In words.
    pub(in crate::cli) why: String,
    /// Whether the primary is there and the role may not write to it: asking again changes nothing.
    pub(super) refused: bool,
}

impl Unmarked {
    /// A primary that does not answer, which may come back.
    pub(super) fn lost(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            refused: false,
        }
    }
}

/// Commits a probe.
///
/// # Errors
/// Why nothing was written.
pub(super) async fn mark(linked: &mut [Linked]) -> Result<Mark, Unmarked> {
    match primary_mut(linked) {
        Some(session) => probed(session).await.map(|probed| probed.mark),
        None => Err(Unmarked::lost("no primary answered")),
    }
}

/// Commits a probe by this session.
///
/// # Errors
/// Why nothing was written.
pub(in crate::cli) async fn probed(session: &mut Session) -> Result<Probed, Unmarked> {
    // A server that is frozen keeps its connections and answers nothing.
    match timeout(PROBE_PATIENCE, probe::commit(session)).await {
        Ok(done) => done.map_err(|error| {
            let code = server_error_in(&error).map(|server| server.sqlstate);
            Unmarked {
                why: format!("the probe was refused: {}", describe_error(&error)),
                // The right to call the function, and sessions that are read-only.
                refused: matches!(code.as_deref(), Some("42501" | "25006")),
            }
        }),
        Err(_) => Err(Unmarked::lost(format!(
            "the primary did not commit the probe within {} s",
            PROBE_PATIENCE.as_secs()
        ))),
    }
}

/// Waits until one node has replayed a mark.
pub(super) async fn follow(one: &Linked, mark: Mark, until: Instant) -> Followed {
    match &one.session {
        Ok(session) => replayed(session, mark, until).await,
        Err(silence) => Followed::Failed(silence.message.clone()),
    }
}
