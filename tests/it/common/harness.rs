//! Turns the modules' lists into trials and runs them.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the harness is the program: it reads the environment and says what is wrong with it"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};

use super::context::Ctx;
use super::servers::{Major, Servers};

/// A test that takes longer than this hangs.
const TIME_LIMIT: Duration = Duration::from_secs(240);

/// The tests of one file.
pub(crate) struct Module {
    pub(crate) path: &'static str,
    pub(crate) on: On,
    pub(crate) tests: &'static [Test],
}

/// The majors, of those chosen by `DBOPS_TEST_MAJORS`, that a module runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Each.
    Every,
    /// The oldest, the newest and the system's.
    Ends,
    /// The system's.
    SystemOnly,
}

/// A test's future; it borrows the context.
pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One test function and its name.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Ctx) -> Outcome<'_>,
}

/// Lists the tests of a module: `tests!(Every: first_test, second_test);`.
macro_rules! tests {
    ($on:ident: $($name:ident),+ $(,)?) => {
        pub(crate) const MODULE: $crate::common::Module = $crate::common::Module {
            path: module_path!(),
            on: $crate::common::On::$on,
            tests: &[$($crate::common::Test {
                name: stringify!($name),
                run: |ctx| Box::pin($name(ctx)),
            }),+],
        };
    };
}
pub(crate) use tests;

/// Runs what the command line asks for.
pub(crate) fn main(modules: &'static [&'static Module]) -> ExitCode {
    // A process that holds clusters until it is killed: see the tests of the sandbox.
    if let (Some(bin), Some(pgbouncer)) = (
        std::env::var_os("DBOPS_TEST_HOLD_CLUSTERS"),
        std::env::var_os("DBOPS_TEST_HOLD_PGBOUNCER"),
    ) {
        return super::hold_clusters(Path::new(&bin), Path::new(&pgbouncer));
    }
    let arguments = Arguments::from_args();
    let env = |name: &str| std::env::var_os(name);
    let servers = match Servers::choose(&env) {
        Ok(servers) => Arc::new(servers),
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let mut trials = vec![Trial::test("harness::every_file_is_wired_in", || {
        Ok(every_file_is_wired_in(modules)?)
    })];
    for major in servers.majors() {
        for module in modules {
            if runs_on(module.on, major, servers.majors()) {
                trials.extend(module.tests.iter().map(|test| {
                    let name = format!("{}::{}::{}", major.label, module.name(), test.name);
                    let (servers, major) = (Arc::clone(&servers), major.clone());
                    Trial::test(name, move || run(&servers, &major, test))
                }));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    servers.stop();
    conclusion.exit_code()
}

/// Waits until the condition holds, and fails with `what` if it does not for 30 seconds.
pub(crate) async fn eventually(
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !condition().await? {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("waited 30 s in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Module {
    fn name(&self) -> &'static str {
        self.path.strip_prefix("it::").unwrap_or(self.path)
    }
}

fn runs_on(on: On, major: &Major, all: &[Major]) -> bool {
    match on {
        On::Every => true,
        On::SystemOnly => major.system,
        On::Ends => {
            let number = |m: &Major| m.number;
            major.system
                || all.iter().map(number).min() == Some(major.number)
                || all.iter().map(number).max() == Some(major.number)
        }
    }
}

fn run(servers: &Arc<Servers>, major: &Major, test: &Test) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ctx = Ctx::new(servers, major, test.name).map_err(|error| format!("{error:#}"))?;
    let started = Instant::now();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::time::timeout(TIME_LIMIT, (test.run)(&ctx))
                .await
                .unwrap_or_else(|_| {
                    bail!("the test still ran after {} s", started.elapsed().as_secs())
                })
        })
    }));
    let message = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain_text(&error)),
        Err(panic) => Some(panic_text(panic.as_ref())),
    };
    // The logs first: they hold nothing about the clean-up then.
    let message = message.map(|text| format!("{text}\n{}", ctx.server_logs()));
    let cleaned = runtime.block_on(ctx.clean_up());
    match (message, cleaned) {
        (Some(text), _) => Err(text.into()),
        (None, Err(error)) => Err(format!("cleaning up: {error:#}").into()),
        (None, Ok(())) => Ok(()),
    }
}

/// One line for each cause. The debug form would add a backtrace, which leads into the harness.
fn chain_text(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  because: ")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "the test panicked".to_owned())
}

/// A file that no `MODULES` entry names is compiled by nobody, and its tests pass by not existing.
fn every_file_is_wired_in(modules: &[&Module]) -> Result<(), String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let entries = std::fs::read_dir(&here).map_err(|error| error.to_string())?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_code = path.is_dir() || path.extension().is_some_and(|end| end == "rs");
        let is_frame = name == "main" || name == "common";
        if is_code && !is_frame && !modules.iter().any(|module| module.name() == name) {
            return Err(format!(
                "tests/it/{name} is not in MODULES in tests/it/main.rs"
            ));
        }
    }
    Ok(())
}
