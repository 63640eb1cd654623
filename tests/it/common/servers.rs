//! The majors that this run tests on, and one cluster for each, started at first use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use dbops::sandbox::{Auth, Builder, Cluster, Env, PgBouncer, PgInstall};

/// The majors that dbops supports.
const SUPPORTED: std::ops::RangeInclusive<u16> = 13..=18;

/// One chosen major.
#[derive(Debug, Clone)]
pub(crate) struct Major {
    /// As in the names of trials: `pg15`.
    pub(crate) label: String,
    /// Zero when it is the system's and there is none.
    pub(crate) number: u16,
    /// Whether it is the one that dbops would find by itself.
    pub(crate) system: bool,
    /// The binaries, or the line that says how to get them.
    install: Result<PgInstall, String>,
}

impl Major {
    pub(crate) fn install(&self) -> Result<&PgInstall> {
        self.install
            .as_ref()
            .map_err(|missing| anyhow!("{missing}"))
    }
}

/// The chosen majors and their running clusters.
pub(crate) struct Servers {
    majors: Vec<Major>,
    running: Mutex<BTreeMap<u16, Slot>>,
    /// Logs outlive the clusters: they are shown when a test fails. Like every folder of the tests
    /// this one is in the target folder: Ctrl-C leaves it there, and nothing elsewhere.
    logs: tempfile::TempDir,
    pgbouncer: Result<PathBuf, String>,
    path: std::ffi::OsString,
}

/// A cluster that is started once: its failure is every test's failure.
type Slot = Arc<Mutex<Option<Result<Arc<Cluster>, String>>>>;

impl Servers {
    /// Reads `DBOPS_TEST_MAJORS`: `all`, or a list of majors and `system`, which is the default.
    pub(crate) fn choose(env: Env<'_>) -> Result<Self> {
        let system = PgInstall::find(env);
        let installs = PgInstall::find_all(env).unwrap_or_default();
        let system_major = system.as_ref().map_or(0, PgInstall::major);
        let wanted = env("DBOPS_TEST_MAJORS")
            .and_then(|value| value.into_string().ok())
            .filter(|value| !value.trim().is_empty())
            .unwrap_or_else(|| "system".to_owned());
        let mut numbers = Vec::new();
        for word in wanted.split([',', ' ']).filter(|word| !word.is_empty()) {
            match word {
                "all" => numbers.extend(SUPPORTED),
                "system" => numbers.push(system_major),
                number => {
                    let number = number.parse().ok().filter(|n| SUPPORTED.contains(n));
                    numbers.push(number.with_context(|| {
                        format!("DBOPS_TEST_MAJORS: `{word}` is none of all, system, 13 to 18")
                    })?);
                }
            }
        }
        if numbers.is_empty() {
            bail!("DBOPS_TEST_MAJORS: `{wanted}` names no major");
        }
        numbers.sort_unstable();
        numbers.dedup();
        let majors = numbers
            .into_iter()
            .map(|number| Major {
                label: match number {
                    0 => "pg-system".to_owned(),
                    number => format!("pg{number}"),
                },
                number,
                system: number == system_major,
                install: match (&system, installs.get(&number)) {
                    (Ok(install), _) if install.major() == number => Ok(install.clone()),
                    (_, Some(install)) => Ok(install.clone()),
                    (Err(error), None) if number == 0 => Err(format!("{error:#}")),
                    (_, None) => Err(format!(
                        "PostgreSQL {number} is not on this machine; run scripts/fetch-postgres {number}"
                    )),
                },
            })
            .collect();
        Ok(Self {
            majors,
            running: Mutex::default(),
            logs: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .context("making a folder for server logs")?,
            pgbouncer: PgBouncer::find(env).map_err(|error| format!("{error:#}")),
            path: env("PATH").unwrap_or_default(),
        })
    }

    pub(crate) fn majors(&self) -> &[Major] {
        &self.majors
    }

    pub(crate) fn path(&self) -> &std::ffi::OsStr {
        &self.path
    }

    pub(crate) fn pgbouncer(&self) -> Result<PathBuf> {
        self.pgbouncer.clone().map_err(|missing| anyhow!(missing))
    }

    pub(crate) fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// Returns the log of a major's shared cluster.
    pub(crate) fn shared_log(&self, major: &Major) -> PathBuf {
        self.logs().join(format!("{}.log", major.label))
    }

    /// Returns the shared cluster of a major; the first call starts it.
    pub(crate) fn shared(&self, major: &Major) -> Result<Arc<Cluster>> {
        let slot = Arc::clone(
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(major.number)
                .or_default(),
        );
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let started = slot.get_or_insert_with(|| {
            self.start(major)
                .map(Arc::new)
                .map_err(|error| format!("{error:#}"))
        });
        started.clone().map_err(|error| anyhow!(error))
    }

    /// Stops every shared cluster.
    pub(crate) fn stop(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn start(&self, major: &Major) -> Result<Cluster> {
        let builder = self
            .cluster(major)?
            // What a test's dbops waits for and cancels is in the log, should the test fail.
            .config("log_lock_waits", "on")
            .config("max_connections", "200")
            .config("max_locks_per_transaction", "256")
            .config("max_prepared_transactions", "10")
            .preload("pg_stat_statements")
            // All tests of a major share the server: with the default of 5,000 the entries of one would be evicted by
            // the statements of the others.
            .config("pg_stat_statements.max", "50000")
            .log_file(self.shared_log(major));
        // The caller may be inside a runtime already, and a runtime is not entered twice.
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?
                    .block_on(builder.start())
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("starting the shared cluster panicked")))
        })
    }

    /// Begins to describe a cluster of this major as tests want it.
    pub(crate) fn cluster(&self, major: &Major) -> Result<Builder<'static>> {
        Ok(Cluster::builder(major.install()?).auth(Auth::Trust))
    }
}
