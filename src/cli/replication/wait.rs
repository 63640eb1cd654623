//! `dbops replication wait`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::gather::{Place, Unmarked, follow, mark, places};
use crate::checks::replication::{Tree, tree};
use crate::cli::asking::{NodeArgs, time, unless_interrupted};
use crate::cli::context::Context;
use crate::cli::ui::Output;
use crate::failure::{Exit, Failure};
use crate::render::replication::{self, Waited};
use crate::sample::replication::follow::Mark;
use crate::sample::replication::model::{Followed, Sample};
use crate::sample::replication::read::{Linked, connect_all, open, primary_end, read};

/// Wait until replicas have caught up, for scripts
///
/// Ends with exit code 0 once each replica of the target has shown a commit within --max-lag, with 1 when --timeout is over.
/// Each round makes one small commit, as `status` does; with --no-probe it waits for the primary's own position instead and
/// also for each replica to receive.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// How much later than on the primary a commit may be visible
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    max_lag: Duration,
    /// Longest wait in all
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    timeout: Duration,
    /// Write nothing
    #[arg(long)]
    no_probe: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let targets = context.targets(&plan)?;
    let [selected] = targets.as_slice() else {
        return Err(Failure::usage("wait takes one target")
            .hint("choose it with --target NAME")
            .into());
    };
    let mut nodes = args.nodes.clone();
    // Marks are made on the primary, so it is always asked.
    if !nodes.node.is_empty() {
        nodes.node.push("primary".to_owned());
    }
    let places = places(&nodes.node, context, selected)?;
    if places.len() < 2 {
        return Err(Failure::usage("there is no replica to wait for")
            .hint("declare the replicas of the target in a plan file: docs/replication.md")
            .into());
    }
    let done = context.block_on(unless_interrupted(wait(places, &args)))?;
    let Some((waited, passive_because)) = done else {
        return Ok(Exit::Interrupted);
    };
    if let Some(why) = &passive_because {
        context
            .ui
            .warning(&format!("{why}; positions are compared instead"));
    }
    let exit = if waited.iter().all(|one| one.caught_up) {
        Exit::Done
    } else {
        Exit::Findings
    };
    let max_lag_s = args.max_lag.as_secs_f64();
    let shown = match args.output {
        Output::Json => replication::waited_json(&selected.name, &waited, max_lag_s, exit),
        Output::Table => replication::waited_text(&waited),
    };
    context.ui.result(&shown)?;
    Ok(exit)
}

async fn wait(places: Vec<Place>, args: &Args) -> (Vec<Waited>, Option<String>) {
    let started = Instant::now();
    let until = started + args.timeout;
    let limit = args.nodes.patience.node_timeout;
    let mut linked = connect_all(places.clone(), limit).await;
    let mut waited: BTreeMap<String, Waited> = (places.iter())
        .filter(|(declared, _)| declared.replica)
        .map(|(declared, _)| (declared.name.clone(), Waited::new(&declared.name)))
        .collect();
    let mut probes = !args.no_probe;
    let mut passive_because = None;
    loop {
        let round =
            (Instant::now() + (args.max_lag * 2).max(Duration::from_millis(500))).min(until);
        let sample = read(&mut linked, limit).await;
        match next_mark(&mut linked, &sample, limit, probes).await {
            Ok(mark) => {
                let pending = followers(&linked, &sample, &mut waited);
                let seen = join_all(pending.iter().map(|one| follow(one, mark, round))).await;
                let names: Vec<String> = pending
                    .iter()
                    .map(|one| one.declared.name.clone())
                    .collect();
                for (name, followed) in names.iter().zip(seen) {
                    if let Some(one) = waited.get_mut(name) {
                        one.basis = if probes { "probe" } else { "position" };
                        note(one, &followed, args.max_lag, started);
                    }
                }
            }
            Err(unmarked) => {
                for one in waited.values_mut().filter(|one| !one.caught_up) {
                    one.reason = Some(unmarked.why.clone());
                }
                // What cannot be written can still be compared; a primary that is gone may come back.
                if probes && unmarked.refused {
                    probes = false;
                    passive_because = Some(unmarked.why);
                    continue;
                }
            }
        }
        if !probes || waited.values().any(|one| !one.caught_up) {
            let tree = tree(&read(&mut linked, limit).await);
            settle(&mut waited, &tree, probes);
        }
        if waited.values().all(|one| one.caught_up) || Instant::now() >= until {
            return (waited.into_values().collect(), passive_because);
        }
        let rest = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(Duration::from_millis(200).min(rest)).await;
        let limit = limit.min(rest.max(Duration::from_millis(1)));
        reconnect(&mut linked, &sample, &places, limit).await;
    }
}

/// Marks the end of what there is on the one primary.
async fn next_mark(
    linked: &mut [Linked],
    sample: &Sample,
    limit: Duration,
    probes: bool,
) -> Result<Mark, Unmarked> {
    let (name, _) = sample.writer().map_err(Unmarked::lost)?;
    // A session knows what its server was when it began.
    let is_first = |one: &Linked| one.session.as_ref().is_ok_and(|one| !one.in_recovery());
    let first = linked.iter().find(|one| is_first(one));
    if first.is_none_or(|one| one.declared.name != name) {
        return Err(Unmarked::lost(format!(
            "{name} has just become the primary"
        )));
    }
    if probes {
        return mark(linked).await;
    }
    let sent = Instant::now();
    let end = primary_end(linked, limit).await;
    let lsn = end.ok_or_else(|| Unmarked::lost("no primary answered"))?;
    Ok(Mark {
        lsn,
        sent,
        done: Instant::now(),
    })
}

/// The replicas that are still waited for; those that cannot follow this primary are told why, and not waited for.
fn followers<'a>(
    linked: &'a [Linked],
    sample: &Sample,
    waited: &mut BTreeMap<String, Waited>,
) -> Vec<&'a Linked> {
    let top = sample.writer().ok().map(|(_, top)| top);
    let mut pending = Vec::new();
    for (one, node) in linked.iter().zip(&sample.nodes) {
        let Some(state) = waited
            .get_mut(&one.declared.name)
            .filter(|one| !one.caught_up)
        else {
            continue;
        };
        let facts = node.facts.as_ref().ok();
        match top
            .zip(facts)
            .and_then(|(top, facts)| facts.cannot_follow(top))
        {
            Some(why) => state.reason = Some(why.to_owned()),
            None => pending.push(one),
        }
    }
    pending
}

fn note(one: &mut Waited, followed: &Followed, max_lag: Duration, started: Instant) {
    match followed {
        Followed::Seen { high_s, .. } => {
            one.lag_s = Some(*high_s);
            one.reason = None;
            if *high_s <= max_lag.as_secs_f64() {
                one.caught_up = true;
                one.after_s = Some(started.elapsed().as_secs_f64());
            } else {
                one.reason = Some(format!("a commit was visible after {high_s:.3} s"));
            }
        }
        Followed::NotSeen { after_s } => {
            one.reason = Some(format!("a commit was not visible after {after_s:.1} s"));
        }
        // None is left out here: whoever waits wants to.
        Followed::Delayed { delay_s } => {
            one.reason = Some(format!("it is set to replay {delay_s:.1} s later"));
        }
        Followed::Failed(message) => one.reason = Some(message.clone()),
    }
}

/// Says how far each is behind. Positions alone are equal on a replica that is cut off as well, so without a probe it
/// must also receive.
fn settle(waited: &mut BTreeMap<String, Waited>, tree: &Tree, probes: bool) {
    for node in &tree.nodes {
        let Some(one) = waited.get_mut(&node.name) else {
            continue;
        };
        one.behind_bytes = node.gaps.replay.value().map(|gap| gap.high);
        let receives = node.state.value().is_some_and(|state| state.receives());
        if !probes && one.caught_up && !receives {
            one.caught_up = false;
            one.after_s = None;
            one.reason = Some("it receives nothing".to_owned());
        }
    }
}

/// Connects again to what is not connected, did not answer, or is not what it was when it was connected to.
async fn reconnect(linked: &mut [Linked], sample: &Sample, places: &[Place], limit: Duration) {
    let asked = linked.iter_mut().zip(&sample.nodes).zip(places);
    join_all(asked.map(async |((one, node), (_, settings))| {
        let same = match (&one.session, &node.facts) {
            (Ok(session), Ok(facts)) => {
                !session.is_closed() && session.in_recovery() == facts.position.in_recovery
            }
            _ => false,
        };
        if !same {
            one.session = open(settings, limit).await;
        }
    }))
    .await;
}
