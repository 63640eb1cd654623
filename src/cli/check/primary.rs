//! Measures what the catalog and the statements of a target's primary tell: partitions, indexes, statements.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, timeout_at};

use super::gather::Wanted;
use super::unused::{self, Held, UNUSED};
use crate::catalog::advise::NodeUsage;
use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::inputs::Inputs;
use crate::changes::{indexes, retention, survey};
use crate::checks::judge::Labels;
use crate::checks::measure::{self, labels};
use crate::checks::queries::report;
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::change::{Breadth, Depth, read_indexes};
use crate::cli::context::{Context, Selected};
use crate::cli::queries;
use crate::conn::failure::{describe_error, server_error_in};
use crate::conn::{Session, begin_read};
use crate::plan_file::PlanFile;
use crate::sample::statements::read::{Databases, Options, Own, Texts, read};
use crate::sample::statements::unavailable::{self, ReadError};

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
    Partitions,
    Indexes,
    Unused,
    Regressions,
    Loops,
    /// Last, because where the extension is not preloaded the transaction is over.
    Statements,
}

const FAMILIES: [Family; 6] = [
    Family::Partitions,
    Family::Indexes,
    Family::Unused,
    Family::Regressions,
    Family::Loops,
    Family::Statements,
];

impl Family {
    /// The metrics that it gives, or their families.
    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Partitions => &["partition"],
            Self::Indexes => &["index.state", "index.invalid", "index.drift"],
            Self::Unused => &[UNUSED],
            Self::Regressions => &["query.regression"],
            Self::Loops => &["query.n_plus_one_score"],
            Self::Statements => LIVE,
        }
    }

    async fn read(
        self,
        asked: &Asked<'_>,
        session: &mut Session,
        held: &mut Option<Held>,
    ) -> anyhow::Result<Gathered> {
        match self {
            Self::Partitions => asked.partitions(session).await,
            Self::Indexes => asked.indexes(session).await,
            // What it comes to is told once every node was asked.
            Self::Unused => {
                *held = Some(unused::held(session).await?);
                Ok(Gathered::default())
            }
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
    /// A target that has not answered for this long is given up.
    pub(super) most: Duration,
}

/// What was read of the catalog and of statements, perhaps not to its end.
#[derive(Default)]
pub(super) struct Read {
    found: Gathered,
    /// How many of what is wanted were settled, in their order.
    settled: usize,
    /// The indexes, where it is asked which of them nobody uses.
    held: Option<Held>,
}

impl Read {
    /// Everything that was wanted: of what nobody came to read, why it is not known.
    ///
    /// `others` are the other nodes, and how indexes are used there.
    pub(super) fn complete(
        mut self,
        asked: &Asked<'_>,
        reason: Reason,
        why: &str,
        others: Vec<(String, Result<NodeUsage, String>)>,
    ) -> Gathered {
        if let Some(held) = self.held {
            let figure = unused::figure(asked, held, others);
            self.found.measured.push(figure);
        }
        for family in asked.families().skip(self.settled) {
            self.found
                .missing
                .extend(asked.missing(family, reason, why));
        }
        self.found
    }
}

/// Reads the catalog and statements until the deadline. What fails by itself is why it is not known, and no more.
pub(super) async fn catalog(
    asked: &Asked<'_>,
    session: &mut Session,
    deadline: Instant,
    read: &mut Read,
) {
    let late = || format!("no answer within {} s", asked.most.as_secs_f64());
    let mut is_late = false;
    for family in asked.families() {
        let (reason, why) = if is_late {
            // What was asked before still runs on the only connection.
            (Reason::NoSample, late())
        } else {
            match timeout_at(deadline, family.read(asked, session, &mut read.held)).await {
                Ok(Ok(part)) => {
                    read.found.extend(part);
                    read.settled += 1;
                    continue;
                }
                Ok(Err(error)) => (reason_of(&error), describe_error(&error)),
                Err(_) => {
                    is_late = true;
                    (Reason::NoSample, late())
                }
            }
        };
        let missing = asked.missing(family, reason, &why);
        read.found.missing.extend(missing);
        read.settled += 1;
    }
}

/// Why something could not be read.
pub(super) fn reason_of(error: &anyhow::Error) -> Reason {
    match server_error_in(error) {
        Some(server) if server.sqlstate == "42501" => Reason::NoPrivilege,
        _ => Reason::NoSample,
    }
}

impl Asked<'_> {
    /// What rules want of it, in the order in which it is read.
    fn families(&self) -> impl Iterator<Item = Family> {
        FAMILIES
            .into_iter()
            .filter(|family| family.metrics().iter().any(|name| self.wanted.has(name)))
    }

    /// That nothing of a family is known.
    fn missing(&self, family: Family, reason: Reason, why: &str) -> impl Iterator<Item = Missing> {
        let target = Arc::new(labels(&[("target", &self.selected.name)]));
        let metrics = family.metrics().iter();
        metrics.map(move |metrics| Missing {
            metrics,
            labels: Arc::clone(&target),
            reason,
            why: why.to_owned(),
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
