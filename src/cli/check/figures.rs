//! What a round asks for by the rules, and what its answers are as figures.

use std::sync::Arc;

use super::nodes::{self, Link, Nodes};
use super::primary::{Asked, reason_of};
use super::target::{Ask, Found, Said};
use crate::catalog::advise::NodeUsage;
use crate::checks;
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::measure::{self, labels};
use crate::checks::pool::status::{Asked as Node, Seen};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing, Raw, Seen as Look};
use crate::cli::{pool, replication};
use crate::conn::failure::describe_error;
use crate::sample::bundle::Answers;
use crate::sample::health::{self, Health};
use crate::sample::pool::server;
use crate::sample::replication::model::{Silence, SilenceKind};
use crate::sample::vitals;

/// What is asked for, by the rules.
pub(super) fn ask(asked: &Asked<'_>, may_probe: bool) -> Ask {
    let wanted = asked.wanted;
    let target = asked.selected.target.as_ref();
    let has_poolers = target.is_some_and(|target| !target.poolers.is_empty());
    let has_replicas = target.is_some_and(|target| !target.replicas.is_empty());
    let any = |families: &[&str]| families.iter().any(|family| wanted.has(family));
    let pool = any(&["conn", "pool", "budget"]) || (has_poolers && wanted.has("node"));
    Ask {
        pool: pool.then(|| pool::roles(asked.selected)),
        replication: any(&["replica", "slot"]) || (has_replicas && wanted.has("node")),
        probe: may_probe && has_replicas && wanted.has("replica.visible_lag"),
        rate: wanted.has("slot.time_to_loss"),
        health: health::Wanted {
            ages: any(&["xid", "mxid"]),
            sizes: wanted.has("database"),
            wal: wanted.has("wal"),
            archive: wanted.has("archive"),
        },
        vitals: vitals::Wanted {
            cache: wanted.has("cache"),
            disk: wanted.has("disk"),
            holders: wanted.has("xmin"),
            prepared: wanted.has("prepared"),
        },
        round_trips: wanted.has("db"),
    }
}

/// Why what only a node itself could tell is not known.
pub(super) fn down_because(silent: &Silence) -> Reason {
    match silent.kind {
        // That it has no room for another session is a measurement of its own.
        SilenceKind::Exhausted => Reason::Exhausted,
        _ => Reason::NotConnected,
    }
}

/// What a primary among declared replicas is that takes no writes.
const DEMOTED: &str = "connected; it is declared as the primary and is in recovery";

/// Whether the node that replicas are declared of is a standby itself.
fn is_demoted(asked: &Asked<'_>, node: &mut nodes::Node) -> bool {
    let target = asked.selected.target.as_ref();
    let has_replicas = target.is_some_and(|target| !target.replicas.is_empty());
    has_replicas && node.session().is_ok_and(|session| session.in_recovery())
}

/// Whether the primary can be connected to and answers.
pub(super) fn up(node: &Arc<Labels>, (state, basis): (&'static str, String)) -> Measured {
    Measured {
        metric: "node.up",
        labels: Arc::clone(node),
        reading: Reading::State(state.into()),
        basis: basis.into(),
        resolution: None,
    }
}

/// The figures of a round.
pub(super) fn found(asked: &Asked<'_>, ask: &Ask, nodes: &mut Nodes, round: Found) -> Gathered {
    let mut all = Gathered::default();
    if ask.pool.is_some() {
        all.extend(pool::figures(
            asked.selected,
            &pool_nodes(asked, nodes, &round),
        ));
    }
    if let Some(sample) = &round.sample {
        all.extend(replication::figures(asked.selected, sample));
    }
    let mut pairs = nodes.servers.iter_mut().zip(round.servers);
    let Some((primary, said)) = pairs.next() else {
        return all;
    };
    let others = pairs.map(|(node, said)| (node.declared.name.clone(), usage(node, said)));
    let is_local = primary.settings.is_local();
    let demoted = is_demoted(asked, primary);
    let link = primary.session().map(|_| ());
    let silent = said.answers().err();
    let answers = match &link {
        Ok(()) if demoted => ("standby", DEMOTED.to_owned()),
        // What was not asked for is no silence.
        Ok(()) => silent.map_or(("up", "connected".to_owned()), |silent| {
            replication::answers(&silent)
        }),
        Err(silent) => replication::answers(silent),
    };
    all.measured.push(up(asked.node, answers));
    // Of a server that is down nothing is read; that is told of all its figures at once.
    if link.is_ok() {
        of_health(asked, ask, &said, &mut all);
        of_vitals(asked, ask, &said, is_local, &mut all);
        let (reason, words) = match said.answers() {
            Ok(_) => (Reason::NoSample, said.late.clone()),
            Err(silent) => why(&Failed::Silent(silent)),
        };
        all.extend(
            said.catalog
                .complete(asked, reason, &words, others.collect()),
        );
    }
    all
}

/// How indexes are used on a replica, or why that is not known.
fn usage(node: &mut nodes::Node, said: Said) -> Result<NodeUsage, String> {
    node.session().map_err(|silent| silent.message.clone())?;
    said.answers().map_err(|silent| silent.message)?;
    said.usage.unwrap_or(Err(said.late))
}

/// Every node as `dbops pool` has it.
fn pool_nodes(asked: &Asked<'_>, nodes: &Nodes, round: &Found) -> Vec<Node> {
    let servers = nodes
        .servers
        .iter()
        .zip(&round.servers)
        .zip(&round.consoles);
    let servers = servers.map(|((node, said), console)| {
        let seen = match (&node.link, console) {
            (_, Some(seen)) => seen.clone(),
            (Link::Silent(silent), _) => pool::unseen(silent),
            _ => match said.answers() {
                Err(silent) => pool::unseen(&silent),
                Ok(answers) => match server::taken(answers) {
                    Ok(sample) => Seen::Server(Box::new(sample)),
                    Err(error) => Seen::NotConnected(describe_error(&error)),
                },
            },
        };
        let name = match &seen {
            // Without a plan file it shows only now what the connection options lead to.
            Seen::Pooler(_) if asked.selected.target.is_none() => "pooler".to_owned(),
            _ => node.declared.name.clone(),
        };
        Node {
            name,
            place: node.settings.to_string(),
            required: node.declared.required,
            seen,
        }
    });
    let poolers = nodes.poolers.iter().zip(&round.poolers);
    let poolers = poolers.map(|(node, seen)| Node {
        name: node.declared.name.clone(),
        place: node.settings.to_string(),
        required: true,
        seen: seen.clone(),
    });
    servers.chain(poolers).collect()
}

/// Why something could not be taken from the answers of a node.
fn why(failed: &Failed) -> (Reason, String) {
    match failed {
        Failed::Silent(silent) => {
            let reason = match silent.kind {
                SilenceKind::NoPrivilege => Reason::NoPrivilege,
                // The node is connected; this it did not tell.
                _ => Reason::NoSample,
            };
            (reason, silent.message.clone())
        }
        Failed::Refused(error) => (reason_of(error), describe_error(error)),
    }
}

enum Failed {
    Silent(Silence),
    Refused(anyhow::Error),
}

fn taken<T>(
    answers: Result<&Answers, Silence>,
    take: impl FnOnce(&Answers) -> anyhow::Result<T>,
) -> Result<T, Failed> {
    take(answers.map_err(Failed::Silent)?).map_err(Failed::Refused)
}

fn missing(
    asked: &Asked<'_>,
    families: &[&'static str],
    (reason, why): (Reason, String),
    all: &mut Gathered,
) {
    let target = Arc::new(labels(&[("target", &asked.selected.name)]));
    let wanted = families.iter().filter(|family| asked.wanted.has(family));
    all.missing.extend(wanted.map(|metrics| Missing {
        metrics,
        labels: Arc::clone(&target),
        reason,
        why: why.clone(),
    }));
}

fn of_health(asked: &Asked<'_>, ask: &Ask, said: &Said, all: &mut Gathered) {
    let may = said.may();
    let mut add = |families: &[&'static str], health: Result<Health, Failed>| match health {
        Ok(health) => {
            let measured = measure::health(&asked.selected.name, asked.node, &health);
            // What was not asked for was not read.
            all.measured.extend(measured.into_iter().filter(|one| {
                asked.wanted.has(one.metric)
                    && one
                        .metric
                        .split_once('.')
                        .is_some_and(|(family, _)| families.contains(&family))
            }));
        }
        Err(failed) => missing(asked, families, why(&failed), all),
    };
    let databases = |answers: &Answers| {
        Ok(Health {
            databases: health::databases(answers)?,
            ..Health::default()
        })
    };
    if ask.health.ages {
        add(&["xid", "mxid"], taken(said.answers(), databases));
    }
    if ask.health.sizes {
        add(&["database"], taken(said.slow_answers(), databases));
    }
    if ask.health.wal {
        let bytes = if may.wal {
            taken(said.slow_answers(), health::wal_bytes)
        } else {
            said.answers().map(|_| None).map_err(Failed::Silent)
        };
        let health = bytes.map(|wal_bytes| Health {
            wal_bytes,
            ..Health::default()
        });
        add(&["wal"], health);
    }
    if ask.health.archive {
        let archive = taken(said.slow_answers(), |answers| health::archive(answers, may));
        let health = archive.map(|archive| Health {
            archive: Some(archive),
            ..Health::default()
        });
        add(&["archive"], health);
    }
}

fn of_vitals(asked: &Asked<'_>, ask: &Ask, said: &Said, is_local: bool, all: &mut Gathered) {
    let machine = if is_local {
        vitals::Machine::This
    } else {
        vitals::Machine::Other
    };
    if ask.vitals != vitals::Wanted::default() {
        match taken(said.answers(), |answers| {
            vitals::taken(answers, ask.vitals, machine)
        }) {
            Ok(found) => all.extend(checks::vitals::vitals(asked.node, &found)),
            Err(failed) => {
                let families = ["cache", "disk", "xmin", "prepared"];
                missing(asked, &families, why(&failed), all);
            }
        }
    }
    if !ask.round_trips {
        return;
    }
    match &said.round_trips {
        Some(Ok(times)) => all.raw.push(Raw {
            metric: "db.probe_p95",
            labels: Arc::clone(asked.node),
            seen: Look::Times(times.clone()),
        }),
        Some(Err(error)) => {
            missing(
                asked,
                &["db"],
                (reason_of(error), describe_error(error)),
                all,
            );
        }
        None => missing(asked, &["db"], (Reason::NoSample, said.late.clone()), all),
    }
}
