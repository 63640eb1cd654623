//! Measures what a target's own server tells: ages, partitions, indexes, statements, over one connection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, timeout_at};

use super::gather::Wanted;
use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::inputs::Inputs;
use crate::changes::{indexes, retention, survey};
use crate::checks;
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::measure::{self, labels};
use crate::checks::queries::report;
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing, Raw, Seen};
use crate::cli::change::{Breadth, Depth, read_indexes};
use crate::cli::context::{Context, Selected};
use crate::cli::queries;
use crate::conn::failure::{describe_error, server_error_in};
use crate::conn::target::Node;
use crate::conn::{Purpose, Session, begin_read, connect};
use crate::failure::is_exhausted;
use crate::plan_file::PlanFile;
use crate::sample::statements::read::{Databases, Options, Own, Texts, read};
use crate::sample::statements::unavailable::{self, ReadError};
use crate::sample::{health, vitals};

/// Metrics of statements that are read from the server, not from stored readings.
const LIVE: &[&str] = &[
    "query.mean_time",
    "query.max_time",
    "query.p95_bound",
    "query.share",
    "query.temp_bytes",
    "query.cache_hit",
];

/// What is read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// First, while dbops itself has nothing else to do: it times round trips.
    Vitals,
    Health,
    Partitions,
    Indexes,
    Regressions,
    Loops,
    /// Last, because where the extension is not preloaded the transaction is over.
    Statements,
}

const FAMILIES: [Family; 7] = [
    Family::Vitals,
    Family::Health,
    Family::Partitions,
    Family::Indexes,
    Family::Regressions,
    Family::Loops,
    Family::Statements,
];

impl Family {
    /// The metrics that it gives, or their families.
    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Vitals => &["cache", "db", "disk", "xmin", "prepared"],
            Self::Health => &["xid", "mxid", "database", "wal", "archive"],
            Self::Partitions => &["partition"],
            Self::Indexes => &["index"],
            Self::Regressions => &["query.regression"],
            Self::Loops => &["query.n_plus_one_score"],
            Self::Statements => LIVE,
        }
    }

    async fn read(self, asked: &Asked<'_>, session: &mut Session) -> anyhow::Result<Gathered> {
        match self {
            Self::Vitals => asked.vitals(session).await,
            Self::Health => asked.health(session).await,
            Self::Partitions => asked.partitions(session).await,
            Self::Indexes => asked.indexes(session).await,
            Self::Regressions => {
                let rules = asked.wanted.rules;
                let now = asked.context.now();
                let found = queries::regressions(session, &asked.selected.name, rules, now).await?;
                Ok(asked.stored("query.regression", found))
            }
            Self::Loops => {
                let now = asked.context.now();
                let found = queries::loops(session, &asked.selected.name, now).await?;
                Ok(asked.stored("query.n_plus_one_score", found))
            }
            Self::Statements => asked.statements(session).await,
        }
    }
}

/// What is asked, and of whom.
pub(super) struct Asked<'a> {
    pub(super) context: &'a Context,
    pub(super) plan: &'a PlanFile,
    pub(super) wanted: Wanted<'a>,
    pub(super) selected: &'a Selected,
    /// Labels of the node.
    pub(super) node: &'a Arc<Labels>,
}

/// Why the server could not be asked at all.
pub(super) struct Down {
    pub(super) reason: Reason,
    pub(super) why: String,
}

/// Measures everything within `most`. What fails by itself is why it is not known, and no more: the server is down only
/// where it cannot be connected to.
pub(super) async fn figures(asked: &Asked<'_>, most: Duration) -> (Gathered, Option<Down>) {
    let deadline = Instant::now() + most;
    let late = || format!("no answer within {} s", most.as_secs_f64());
    let mut found = Gathered::default();
    let connected = async {
        let settings = asked.context.settings(asked.selected)?;
        connect(&settings, Purpose::Read).await
    };
    let connected = match timeout_at(deadline, connected).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(Down {
            // That it has no room for another session is a measurement of its own.
            reason: if is_exhausted(&error) {
                Reason::Exhausted
            } else {
                Reason::NotConnected
            },
            why: describe_error(&error),
        }),
        Err(_) => Err(Down {
            reason: Reason::NotConnected,
            why: late(),
        }),
    };
    let (state, basis) = match &connected {
        Ok(_) => ("up", "connected"),
        Err(down) => ("down", down.why.as_str()),
    };
    found.measured.push(Measured {
        metric: "node.up",
        labels: Arc::clone(asked.node),
        reading: Reading::State(state.into()),
        basis: basis.into(),
        resolution: None,
    });
    let mut session = match connected {
        Ok(session) => session,
        Err(down) => return (found, Some(down)),
    };
    let target = Arc::new(labels(&[("target", &asked.selected.name)]));
    let mut is_late = false;
    let wanted = FAMILIES
        .into_iter()
        .filter(|family| family.metrics().iter().any(|name| asked.wanted.has(name)));
    for family in wanted {
        let (reason, why) = if is_late {
            // What was asked before still runs on the only connection.
            (Reason::NoSample, late())
        } else {
            match timeout_at(deadline, family.read(asked, &mut session)).await {
                Ok(Ok(part)) => {
                    found.extend(part);
                    continue;
                }
                Ok(Err(error)) => (reason_of(&error), describe_error(&error)),
                Err(_) => {
                    is_late = true;
                    (Reason::NoSample, late())
                }
            }
        };
        found
            .missing
            .extend(family.metrics().iter().map(|metrics| Missing {
                metrics,
                labels: Arc::clone(&target),
                reason,
                why: why.clone(),
            }));
    }
    (found, None)
}

/// Why something could not be read.
fn reason_of(error: &anyhow::Error) -> Reason {
    match server_error_in(error) {
        Some(server) if server.sqlstate == "42501" => Reason::NoPrivilege,
        _ => Reason::NoSample,
    }
}

impl Asked<'_> {
    async fn vitals(&self, session: &mut Session) -> anyhow::Result<Gathered> {
        let wanted = self.wanted;
        let machine = if self
            .context
            .resolved(self.selected, Node::Primary)?
            .is_local()
        {
            vitals::Machine::This
        } else {
            vitals::Machine::Other
        };
        let times = if wanted.has("db") {
            Some(vitals::round_trips(session).await?)
        } else {
            None
        };
        let version = session.server_version_num();
        let tx = begin_read(session).await?;
        let asked = vitals::Wanted {
            cache: wanted.has("cache"),
            disk: wanted.has("disk"),
            holders: wanted.has("xmin"),
            prepared: wanted.has("prepared"),
        };
        let read = vitals::read(&tx, version, asked, machine).await?;
        tx.commit()
            .await
            .context("ending the reading transaction")?;
        let mut found = checks::vitals::vitals(self.node, &read);
        found.raw.extend(times.map(|times| Raw {
            metric: "db.probe_p95",
            labels: Arc::clone(self.node),
            seen: Seen::Times(times),
        }));
        Ok(found)
    }

    async fn health(&self, session: &mut Session) -> anyhow::Result<Gathered> {
        let wanted = self.wanted;
        let version = session.server_version_num();
        let tx = begin_read(session).await?;
        let read = health::read(
            &tx,
            version,
            health::Wanted {
                ages: wanted.has("xid") || wanted.has("mxid"),
                sizes: wanted.has("database"),
                wal: wanted.has("wal"),
                archive: wanted.has("archive"),
            },
        )
        .await?;
        tx.commit()
            .await
            .context("ending the reading transaction")?;
        let mut measured = measure::health(&self.selected.name, self.node, &read);
        // What was not asked for was not read.
        measured.retain(|one| wanted.has(one.metric));
        Ok(Gathered {
            measured,
            ..Gathered::default()
        })
    }

    async fn partitions(&self, session: &mut Session) -> anyhow::Result<Gathered> {
        let tx = begin_read(session).await?;
        let scope = Scope {
            tables: TableScope::All,
            sizes: Sizes::Skip,
            schemas: Vec::new(),
        };
        let catalog = catalog::read(&tx, &scope).await?;
        let inputs = Inputs {
            policies: &self.plan.partitions,
            budget: self.plan.lock_budget,
            catalog: &catalog,
            now: self.context.now(),
        };
        let answers = catalog::answer(&tx, &survey::questions(inputs)).await?;
        tx.commit()
            .await
            .context("ending the reading transaction")?;
        let surveys = survey::survey(inputs, &answers);
        let past = retention::past(inputs);
        let name = &self.selected.name;
        let database = &catalog.server.database;
        let nowhere = self.plan.partitions.iter().filter(|policy| {
            let table = &policy.table;
            !surveys.iter().any(|one| one.table == *table)
        });
        Ok(Gathered {
            measured: measure::partitions(name, database, &surveys, &past),
            missing: nowhere
                .map(|policy| Missing {
                    metrics: "partition",
                    labels: Arc::new(labels(&[
                        ("target", name),
                        ("database", database),
                        ("table", &policy.table.to_string()),
                    ])),
                    reason: Reason::NoSample,
                    why: format!("there is no partitioned table {}", policy.table),
                })
                .collect(),
            ..Gathered::default()
        })
    }

    async fn indexes(&self, session: &mut Session) -> anyhow::Result<Gathered> {
        let now = self.context.now();
        let read = read_indexes(self.plan, session, now, Breadth::All, Depth::Compare).await?;
        let all = indexes::survey(read.inputs(now), &read.answers);
        let database = &read.catalog.server.database;
        Ok(Gathered {
            measured: measure::indexes(&self.selected.name, database, &all),
            ..Gathered::default()
        })
    }

    async fn statements(&self, session: &mut Session) -> anyhow::Result<Gathered> {
        let tx = begin_read(session).await?;
        let options = Options {
            databases: Databases::All,
            texts: Texts::All,
            own: Own::Exclude,
        };
        match read(&tx, &options).await {
            Ok(snapshot) => Ok(Gathered {
                measured: queries::figures(
                    &self.selected.name,
                    &report::life(&snapshot),
                    self.wanted.rules,
                ),
                ..Gathered::default()
            }),
            Err(ReadError::Unavailable(why)) => {
                let reason = match why.reason {
                    unavailable::Reason::NoRight => Reason::NoPrivilege,
                    _ => Reason::NoSample,
                };
                let why = format!("{}; `dbops doctor` says what to do", why.message);
                Ok(self.none(LIVE, reason, &why))
            }
            Err(ReadError::Other(error)) => Err(error),
        }
    }

    fn stored(&self, metric: &'static str, found: queries::Found) -> Gathered {
        match found {
            Ok(measured) => Gathered {
                measured,
                ..Gathered::default()
            },
            Err((reason, why)) => self.none(&[metric], reason, &why),
        }
    }

    fn none(&self, metrics: &[&'static str], reason: Reason, why: &str) -> Gathered {
        let target = Arc::new(labels(&[("target", &self.selected.name)]));
        let missing = metrics.iter().map(|metrics| Missing {
            metrics,
            labels: Arc::clone(&target),
            reason,
            why: why.to_owned(),
        });
        Gathered {
            missing: missing.collect(),
            ..Gathered::default()
        }
    }
}
