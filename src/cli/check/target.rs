//! One look at all nodes of a target, over one connection to each: what they are asked, in which order.
//!
//! ```text
//! every server   connect ─ first look ┐
//! primary                             ├─ probe ─ read ─ slow figures, catalog ┐
//! replica                             └─ wait for the probe ─ read            ├─ last look of the primary
//! pooler         connect ─ read ──────────────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::limits::Limits;
use super::nodes::{Link, Node, Nodes};
use super::primary::{self, Asked};
use super::unused::{self, UNUSED};
use crate::catalog::advise::NodeUsage;
use crate::checks::pool::status::Seen;
use crate::cli::pool;
use crate::cli::replication::probed;
use crate::conn::Session;
use crate::conn::failure::describe_error;
use crate::sample::bundle::{self, Answers, Part};
use crate::sample::pool::server::{self, Detail};
use crate::sample::replication::follow::{Confirmed, Mark, confirmed, replayed};
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::model::{
    Cut, Facts, Followed, Probe, Sample, Silence, SilenceKind, only_writer,
};
use crate::sample::replication::rate::WalRate;
use crate::sample::replication::read::{self, Look, assembled, look, refused, unanswered};
use crate::sample::{health, vitals};

/// The rate of WAL is measured over at least this long.
const RATE_OVER: Duration = Duration::from_secs(1);

/// A replica that is set to keep a longer delay than this is read before it has the probe.
const SHORT_DELAY: Duration = Duration::from_millis(50);

/// How long cancelling a statement may take.
const CANCEL: Duration = Duration::from_secs(1);

/// What a round asks for.
pub(super) struct Ask {
    /// Connections and pools, with the limits of these roles.
    pub(super) pool: Option<Vec<String>>,
    /// Replicas and slots.
    pub(super) replication: bool,
    /// Whether lag is measured by a commit of dbops.
    pub(super) probe: bool,
    /// Whether slots' time to loss is asked for, which needs the rate of WAL.
    pub(super) rate: bool,
    /// Ages, sizes, archiving of the primary.
    pub(super) health: health::Wanted,
    /// Cache, disks, holders of the primary.
    pub(super) vitals: vitals::Wanted,
    /// Round trips to the primary.
    pub(super) round_trips: bool,
}

impl Ask {
    fn needs_look(&self) -> bool {
        self.replication || self.health.wal || self.health.archive
    }

    fn parts(&self, is_primary: bool) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(roles) = &self.pool {
            parts.extend(server::parts(Detail::Counts, roles));
        }
        if self.replication {
            parts.extend(read::parts());
        }
        if is_primary {
            parts.extend(health::quick_parts(self.health));
            let holders = self.vitals.holders && !self.replication;
            // What replication reads as well is read once.
            parts.extend(vitals::parts(vitals::Wanted {
                holders,
                prepared: self.vitals.prepared || self.vitals.holders,
                ..self.vitals
            }));
        }
        parts
    }
}

/// What a server said in a round.
#[derive(Default)]
pub(super) struct Said {
    look: Option<Result<Look, Silence>>,
    /// What it was asked for at once.
    pub(super) quick: Option<Result<Answers, Silence>>,
    /// What takes it longer.
    pub(super) slow: Option<Result<Answers, Silence>>,
    followed: Option<Followed>,
    /// How the probe went, of the one server that takes it.
    probed: Option<Result<Probe, String>>,
    mark: Option<Mark>,
    /// The end of its WAL after the looks at all nodes, and when.
    after: Option<(Lsn, Instant)>,
    /// Catalog and statements.
    pub(super) catalog: primary::Read,
    /// How indexes are used on a replica.
    pub(super) usage: Option<Result<NodeUsage, String>>,
    /// Round trips, in seconds.
    pub(super) round_trips: Option<anyhow::Result<Vec<f64>>>,
    /// Why what is missing is.
    pub(super) late: String,
}

impl Said {
    /// Which folders the role may list.
    pub(super) fn may(&self) -> health::MayList {
        let look = self.look.as_ref().and_then(|look| look.as_ref().ok());
        health::MayList {
            wal: look.is_some_and(|look| look.may_list_wal),
            archive: look.is_some_and(|look| look.may_list_archive),
        }
    }

    /// What was asked for at once, or why it is not there.
    pub(super) fn answers(&self) -> Result<&Answers, Silence> {
        match (&self.look, &self.quick) {
            (_, Some(Ok(answers))) => Ok(answers),
            (_, Some(Err(silent))) | (Some(Err(silent)), None) => Err(silent.clone()),
            _ => Err(self.silent()),
        }
    }

    /// The same of what takes longer.
    pub(super) fn slow_answers(&self) -> Result<&Answers, Silence> {
        match &self.slow {
            Some(Ok(answers)) => Ok(answers),
            Some(Err(silent)) => Err(silent.clone()),
            None => Err(self.answers().err().unwrap_or_else(|| self.silent())),
        }
    }

    fn silent(&self) -> Silence {
        Silence {
            kind: SilenceKind::NoAnswer,
            message: self.late.clone(),
        }
    }
}

/// What a round brought.
pub(super) struct Found {
    /// What each server said, in the order of the nodes.
    pub(super) servers: Vec<Said>,
    /// The consoles that were asked, in the order of the nodes.
    pub(super) poolers: Vec<Seen>,
    /// A console where a server was meant to be.
    pub(super) consoles: Vec<Option<Seen>>,
    /// The tree of replication, where it was asked for.
    pub(super) sample: Option<Sample>,
}

/// Asks all nodes; one that hangs costs the others nothing.
pub(super) async fn round(
    asked: &Asked<'_>,
    ask: &Ask,
    nodes: &mut Nodes,
    most: Duration,
) -> Found {
    let limits = Limits::within(most);
    let Nodes { servers, poolers } = nodes;
    let (consoles, (said, seen, sample)) = tokio::join!(
        join_all(poolers.iter_mut().map(async |node| {
            ask.pool.as_ref()?;
            node.connect_console(limits.primary_connects).await;
            Some(console(node, limits).await)
        })),
        all_servers(asked, ask, servers, limits),
    );
    Found {
        servers: said,
        poolers: consoles.into_iter().flatten().collect(),
        consoles: seen,
        sample,
    }
}

async fn console(node: &Node, limits: Limits) -> Seen {
    match &node.link {
        Link::Console(session) => {
            let limit = limits.most / 3;
            pool::read_console(session, &node.settings, limit).await
        }
        Link::Server(_) => Seen::NotConnected(format!("{} is no console", node.settings)),
        Link::Silent(silence) => pool::unseen(silence),
    }
}

async fn all_servers(
    asked: &Asked<'_>,
    ask: &Ask,
    servers: &mut [Node],
    limits: Limits,
) -> (Vec<Said>, Vec<Option<Seen>>, Option<Sample>) {
    join_all(servers.iter_mut().map(|node| {
        let limit = if node.declared.replica {
            limits.replica_connects
        } else {
            limits.primary_connects
        };
        node.connect(limit)
    }))
    .await;
    let mut all: Vec<Said> = Vec::with_capacity(servers.len());
    all.resize_with(servers.len(), || Said {
        late: format!("no answer within {} s", limits.most.as_secs_f64()),
        ..Said::default()
    });
    let begun = Instant::now();
    if ask.needs_look() {
        look_at_all(servers, &mut all, limits).await;
    }
    let writer = writer(servers, &all);
    let (tell, hear) = watch::channel(None);
    let mut tell = Some(tell);
    let mut probe_at = None;
    let mut passive = Some("--no-probe".to_owned());
    if ask.probe {
        match &writer {
            Ok(at) => {
                probe_at = Some(*at);
                passive = None;
            }
            Err(why) => passive = Some(why.clone()),
        }
    }
    let identifier = (writer.as_ref().ok())
        .and_then(|at| all.get(*at)?.look.as_ref()?.as_ref().ok())
        .map(|look| look.system_identifier.clone());
    let follows = |said: &Said| match &said.look {
        Some(Ok(look)) => look.can_replay && Some(&look.system_identifier) == identifier.as_ref(),
        _ => false,
    };
    let works = servers
        .iter_mut()
        .zip(&mut all)
        .enumerate()
        .map(|(at, (node, said))| {
            let part = Work {
                asked,
                ask,
                limits,
                is_writer: writer.as_ref() == Ok(&at),
                tell: if probe_at == Some(at) {
                    tell.take()
                } else {
                    None
                },
                hear: (probe_at.is_some() && follows(said)).then(|| hear.clone()),
            };
            // What was said until then is kept.
            async move {
                let _ = timeout_at(limits.deadline, part.run(node, said)).await;
            }
        });
    let works: Vec<_> = works.collect();
    // Nobody is told anything where nobody writes.
    drop(tell);
    join_all(works).await;
    let mut consoles = Vec::new();
    for node in servers.iter() {
        consoles.push(match &node.link {
            Link::Console(_) if ask.pool.is_some() => Some(console(node, limits).await),
            _ => None,
        });
    }
    let sample = if ask.replication {
        let rate = last_look(
            ask,
            servers,
            &mut all,
            writer.as_ref().ok().copied(),
            begun,
            limits,
        );
        let rate = rate.await;
        Some(sampled(servers, &mut all, rate, passive, begun))
    } else {
        None
    };
    if ask.round_trips
        && let (Some(node), Some(said)) = (servers.first_mut(), all.first_mut())
        && let Ok(session) = node.session()
    {
        // At the end, while dbops itself has nothing else to do.
        said.round_trips = (timeout_at(limits.deadline, vitals::round_trips(session)).await).ok();
    }
    (all, consoles, sample)
}

/// The server that takes writes is looked at before the others: its position is the lower end of the cut.
async fn look_at_all(servers: &mut [Node], all: &mut [Said], limits: Limits) {
    let mut pairs: Vec<(&mut Session, &mut Said)> = Vec::new();
    for (node, said) in servers.iter_mut().zip(all) {
        match node.session() {
            Ok(session) => pairs.push((session, said)),
            Err(silent) => said.look = Some(Err(silent)),
        }
    }
    let first = pairs.iter().position(|(session, _)| !session.in_recovery());
    if let Some((session, said)) = first.and_then(|at| pairs.get_mut(at)) {
        said.look = Some(look(session, limits.answer).await);
    }
    join_all(pairs.into_iter().map(async |(session, said)| {
        if said.look.is_none() {
            said.look = Some(look(session, limits.answer).await);
        }
    }))
    .await;
}

/// The one server that takes writes.
fn writer(servers: &[Node], all: &[Said]) -> Result<usize, String> {
    let writers: Vec<(usize, &str)> = (servers.iter().zip(all).enumerate())
        .filter(|(_, (_, said))| match &said.look {
            Some(Ok(look)) => !look.timed.position.in_recovery,
            _ => false,
        })
        .map(|(at, (node, _))| (at, node.declared.name.as_str()))
        .collect();
    only_writer(&writers)
}

/// What one server is to do.
struct Work<'a> {
    asked: &'a Asked<'a>,
    ask: &'a Ask,
    limits: Limits,
    is_writer: bool,
    /// Commits the probe and says so.
    tell: Option<watch::Sender<Option<Mark>>>,
    /// Waits for the probe.
    hear: Option<watch::Receiver<Option<Mark>>>,
}

impl Work<'_> {
    async fn run(mut self, node: &mut Node, said: &mut Said) {
        let is_primary = !node.declared.replica;
        let name = node.declared.name.clone();
        let Ok(session) = node.session() else {
            return;
        };
        if let Err(error) = server::refuse_old(session) {
            said.quick = Some(Err(refused(&error)));
            return;
        }
        if let Some(Err(_)) = said.look {
            return;
        }
        if self.is_writer && self.ask.replication {
            self.write(session, said).await;
        }
        let delay = match &said.look {
            Some(Ok(look)) => look.apply_delay,
            _ => Duration::ZERO,
        };
        let mut parts = self.ask.parts(is_primary);
        let may = |look: &Look| look.may_read_checkpoint;
        if self.ask.rate && self.is_writer && matches!(&said.look, Some(Ok(look)) if may(look)) {
            parts.push(read::rate_part());
        }
        if delay > SHORT_DELAY {
            said.quick = Some(asked_in_time(session, &parts, self.limits.answer).await);
            self.follow(session, said, delay).await;
        } else {
            self.follow(session, said, delay).await;
            said.quick = Some(asked_in_time(session, &parts, self.limits.answer).await);
        }
        if matches!(said.quick, Some(Err(_))) {
            return;
        }
        if !is_primary {
            if self.asked.wanted.has(UNUSED) {
                let usage = unused::usage(session, &name).await;
                said.usage = Some(usage.map_err(|error| describe_error(&error)));
            }
            return;
        }
        let slow = health::slow_parts(self.ask.health, said.may());
        if !slow.is_empty() {
            let left = self
                .limits
                .deadline
                .saturating_duration_since(Instant::now());
            said.slow = Some(asked_in_time(session, &slow, left / 2).await);
        }
        primary::catalog(self.asked, session, self.limits.deadline, &mut said.catalog).await;
    }

    /// Commits the probe where one is wanted; else reads how far the server is now that all were looked at.
    async fn write(&mut self, session: &mut Session, said: &mut Said) {
        // Where the probe fails it is given up at once: replicas wait for it.
        if let Some(tell) = self.tell.take() {
            match probed(session).await {
                Ok(done) => {
                    said.after = Some((done.before, Instant::now()));
                    said.mark = Some(done.mark);
                    // Nobody may be there to hear it.
                    let _ = tell.send(Some(done.mark));
                    return;
                }
                Err(unmarked) => said.probed = Some(Err(unmarked.why)),
            }
        }
        let position = timeout(self.limits.answer, read::position(session)).await;
        let end = position.ok().and_then(Result::ok);
        said.after = end.and_then(|at| Some((at.flushed?, Instant::now())));
    }

    async fn follow(&self, session: &Session, said: &mut Said, delay: Duration) {
        let Some(mut hear) = self.hear.clone() else {
            return;
        };
        // Whatever holds the primary up, there is to be time left to read the replica.
        let latest = self.limits.deadline - self.limits.answer * 2;
        let mark = match timeout_at(latest, hear.wait_for(Option::is_some)).await {
            Ok(Ok(mark)) => *mark,
            Ok(Err(_)) | Err(_) => None,
        };
        if let Some(mark) = mark {
            said.followed = Some(if delay > self.limits.longest_delay {
                Followed::Delayed {
                    delay_s: delay.as_secs_f64(),
                }
            } else {
                replayed(session, mark, mark.done + self.limits.patience + delay).await
            });
        }
    }
}

/// Asks, and cancels what takes too long, so that the session is free again.
async fn asked_in_time(
    session: &mut Session,
    parts: &[Part],
    limit: Duration,
) -> Result<Answers, Silence> {
    let canceller = session.canceller();
    match timeout(limit, bundle::read(session, parts)).await {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => {
            // A server that does not even take this is gone; the next question tells.
            let _ = timeout(CANCEL, canceller.cancel()).await;
            Err(unanswered(limit))
        }
    }
}

/// Looks at the primary once more, where it is needed: for receivers that had not confirmed the probe, and for the rate of
/// its WAL, which is returned.
async fn last_look(
    ask: &Ask,
    servers: &mut [Node],
    all: &mut [Said],
    writer: Option<usize>,
    begun: Instant,
    limits: Limits,
) -> Option<WalRate> {
    let at = writer?;
    let (session, said) = (servers.get_mut(at)?.session().ok()?, all.get_mut(at)?);
    let facts = facts(said, session.server_version_num()).ok();
    let before = match &said.look {
        Some(Ok(first)) => first.timed.position.flushed,
        _ => None,
    };
    // Slots that may keep all they want lose nothing.
    let wanted = ask.rate && facts.as_ref().is_some_and(|one| one.node.slot_keep_mb >= 0);
    let known = said.answers().ok().and_then(read::rate);
    let rated = wanted && known.is_none();
    if rated {
        sleep_until((begun + RATE_OVER).min(limits.deadline)).await;
    }
    let mut end = None;
    if let Some(mark) = said.mark {
        let mut so_far = Confirmed::default();
        if let Some(facts) = &facts {
            so_far.note(&facts.senders, mark.lsn);
        }
        let confirmed = if facts.is_none() || (so_far.is_complete() && !rated) {
            so_far.into_map()
        } else {
            let until = (mark.done + limits.patience).min(limits.deadline.into_std());
            let (map, last) = confirmed(session, mark, until, so_far).await;
            end = last;
            map
        };
        said.probed = Some(Ok(Probe {
            lsn: mark.lsn,
            replayed: BTreeMap::new(),
            confirmed,
        }));
    } else if rated {
        let last = timeout(limits.answer, read::senders(session)).await;
        end = last.ok().and_then(Result::ok).and_then(|(_, end)| end);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let written = before.zip(end).filter(|_| rated);
    let sampled = written.and_then(|(before, end)| WalRate::between(before, end, seconds));
    known.filter(|_| wanted).or(sampled)
}

/// Puts the tree together.
fn sampled(
    servers: &mut [Node],
    all: &mut [Said],
    rate: Option<WalRate>,
    passive: Option<String>,
    begun: Instant,
) -> Sample {
    let mut nodes = Vec::new();
    let mut cut = None;
    let mut probe = None;
    let mut because = passive;
    let mut replayed = BTreeMap::new();
    for (node, said) in servers.iter_mut().zip(all) {
        let version = match node.session() {
            Ok(session) => Ok(session.server_version_num()),
            Err(silent) => Err(silent),
        };
        let facts = version.and_then(|version| facts(said, version));
        let timed = match &said.look {
            Some(Ok(look)) => Some(look.timed),
            _ => None,
        };
        if let (Some((after, at)), Some(timed)) = (said.after, timed)
            && let Some(before) = timed.position.flushed
        {
            cut = Some(Cut {
                before,
                after,
                seconds: (at - begun).as_secs_f64(),
            });
        }
        match said.probed.take() {
            Some(Ok(done)) => probe = Some(done),
            Some(Err(why)) => because = Some(why),
            None => {}
        }
        if let Some(followed) = said.followed.take() {
            replayed.insert(node.declared.name.clone(), followed);
        }
        nodes.push((node.declared.clone(), timed, facts));
    }
    let mut sample = assembled(nodes, cut);
    if let Some(probe) = &mut probe {
        probe.replayed = replayed;
    } else if because.is_none() {
        because = Some("the primary was not read after the probe".to_owned());
    }
    sample.probe = probe;
    sample.passive_because = because;
    sample.wal_rate = rate;
    sample
}

fn facts(said: &Said, version_num: i32) -> Result<Facts, Silence> {
    if let Some(Err(silent)) = &said.look {
        return Err(silent.clone());
    }
    read::taken(said.answers()?, version_num).map_err(|error| refused(&error))
}
