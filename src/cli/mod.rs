//! The command line: one file per command, its arguments beside what it runs. clap stays here.
//!
//! This room alone reads the clock, the environment and the terminal; everything below gets them as
//! arguments.

mod apply;
mod asking;
mod change;
mod check;
mod completions;
mod context;
mod demo;
mod diff;
mod doctor;
mod history;
mod indexes;
mod init;
mod man;
mod new_file;
mod partitions;
mod pool;
mod queries;
mod replication;
mod schedule;
mod schema;
mod serve;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::context::{Context, GlobalArgs};
use crate::conn::failure::describe_error;
use crate::failure::{Exit, exit_of, hints_of};

/// Keep PostgreSQL partitions and indexes in the state that plan files in git declare, and find slow and looping statements
#[derive(Debug, Parser)]
#[command(
    name = "dbops",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 findings, 2 usage or connection, 3 unknown, 4 refused, 5 stopped part-way, \
6 deferred, 130 interrupted."
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create, list and prune range partitions
    Partitions(partitions::Group),
    /// Build, list, import and advise indexes
    Indexes(indexes::Group),
    /// Read what pg_stat_statements counts
    Queries(Box<queries::Group>),
    /// Show who takes the connections, and what is left of them
    Pool(pool::Group),
    /// Hold everything that is measured against the rules of the plan files: one verdict
    Check(Box<check::Args>),
    Snapshot(check::snapshot::Args),
    /// Look again and again, and answer over HTTP: health, readiness, metrics, the verdict and a page
    Serve(serve::Args),
    /// Show replicas with their real lag, slots, and wait until replicas have caught up
    Replication(replication::Group),
    /// Show what ensure and indexes apply would do
    Diff(diff::Args),
    /// Run a saved changeset
    Apply(apply::Args),
    /// Show what dbops did in a database
    History(history::Args),
    /// Print a starter plan file from a live database
    Init(init::Args),
    /// Check what dbops needs of a server, with the exact fix of what is missing
    Doctor(doctor::Args),
    /// Show it all on a throw-away cluster: nothing of yours is touched
    Demo(demo::Args),
    /// Print what makes a scheduler run dbops: cron, systemd, Kubernetes, pg_cron
    Schedule(schedule::Group),
    /// Print the JSON Schema of plan files
    Schema(schema::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page, or write one page a command
    Man(man::Args),
}

/// Parses the command line, runs the command and maps the outcome to an exit code.
pub fn main() -> ExitCode {
    // Scripts ask for nothing but the version again and again: no need to build every command for it.
    let mut words = std::env::args_os().skip(1);
    if let (Some(word), None) = (words.next(), words.next())
        && (word == "--version" || word == "-V")
    {
        return match ui::print(concat!("dbops ", env!("CARGO_PKG_VERSION"), "\n")) {
            Ok(()) => ExitCode::from(Exit::Done.code()),
            Err(_) => ExitCode::from(Exit::Usage.code()),
        };
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // A closed pipe is not a failure.
            let _ = error.print();
            return ExitCode::from(code.code());
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(Exit::Usage.code());
        }
    };
    let context = Context::new(cli.global);
    let result = match cli.command {
        Command::Partitions(group) => partitions::run(group, &context),
        Command::Indexes(group) => indexes::run(group, &context),
        Command::Queries(group) => queries::run(*group, &context),
        Command::Pool(group) => pool::run(group, &context),
        Command::Check(args) => check::run(*args, &context),
        Command::Snapshot(args) => check::snapshot::run(args, &context),
        Command::Serve(args) => serve::run(args, &context),
        Command::Replication(group) => replication::run(group, &context),
        Command::Diff(args) => diff::run(args, &context),
        Command::Apply(args) => apply::run(args, &context),
        Command::History(args) => history::run(args, &context),
        Command::Init(args) => init::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Demo(args) => demo::run(args, &context),
        Command::Schedule(group) => schedule::run(group, &context),
        Command::Schema(args) => schema::run(args, &context),
        Command::Completions(args) => completions::run(args, &context),
        Command::Man(args) => man::run(args, &context),
    };
    let exit = match result {
        Ok(exit) => exit,
        Err(error) => {
            context.ui.error(&describe_error(&error));
            for hint in hints_of(&error) {
                context.ui.hint(&hint);
            }
            exit_of(&error)
        }
    };
    ExitCode::from(exit.code())
}

/// The whole command line, for completions and manual pages too.
fn command() -> clap::Command {
    Cli::command()
}
