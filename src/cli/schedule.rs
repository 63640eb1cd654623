//! `dbops schedule`: prints what makes a scheduler run dbops. Needs plan files, no server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};

use super::context::Context;
use crate::failure::{Exit, Failure};
use crate::plan_file::Loaded;
use crate::render::schedule::kubernetes::{self, Cluster};
use crate::render::schedule::pg_cron::{self, Job, Script};
use crate::render::schedule::{Schedule, Times, When, cron, systemd};

/// Print what makes a scheduler run dbops: cron, systemd, Kubernetes, pg_cron
#[derive(Debug, clap::Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what keeps partitions ready: ensure, and apart from it prune
    Partitions(Args),
}

#[derive(Debug, clap::Args)]
struct Args {
    /// What runs the job
    #[arg(long, value_enum)]
    kind: Kind,
    /// When to create, as a cron expression [default: hourly for policies of hours, else daily]
    #[arg(long, value_name = "CRON")]
    at: Option<When>,
    /// When to prune, as a cron expression [default: half an hour after creating by default]
    #[arg(long, value_name = "CRON")]
    prune_at: Option<When>,
    /// The dbops program where the job runs
    #[arg(long, value_name = "PATH", default_value = "dbops")]
    dbops: String,
    /// File of environment variables with the secrets, for cron and systemd
    #[arg(long, value_name = "PATH", default_value = "/etc/dbops/dbops.env")]
    env_file: String,
    /// Container image, for kubernetes
    #[arg(long, value_name = "IMAGE", default_value = concat!("dbops:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Write the files into this folder, for systemd
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Make the procedure without scheduling it, for pg-cron
    #[arg(long)]
    without_cron: bool,
}

/// What runs the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A crontab fragment.
    Cron,
    /// Service and timer units.
    Systemd,
    /// CronJob manifests.
    Kubernetes,
    /// An SQL script for clusters where nothing outside may run; it never prunes.
    PgCron,
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    let Command::Partitions(args) = group.command;
    let only = |given: bool, option: &str, kind: Kind, name: &str| {
        if given && args.kind != kind {
            bail!(Failure::usage(format!(
                "{option} goes with --kind {name} only"
            )));
        }
        Ok(())
    };
    only(args.out.is_some(), "--out", Kind::Systemd, "systemd")?;
    only(args.without_cron, "--without-cron", Kind::PgCron, "pg-cron")?;
    if args.kind == Kind::PgCron && args.prune_at.is_some() {
        bail!(
            Failure::usage("--kind pg-cron only creates, so that --prune-at means nothing")
                .hint("run `dbops partitions prune` from outside the server")
        );
    }
    let loaded = context.plan()?;
    let policies = &loaded.plan.partitions;
    if policies.is_empty() {
        bail!(
            Failure::usage("the plan files declare no partition policies")
                .hint("add them under `partitions:`, or name other files with --plan")
        );
    }
    let times =
        Times::of(policies, args.at.clone(), args.prune_at.clone()).map_err(Failure::usage)?;
    if args.kind == Kind::PgCron {
        return script(&args, &loaded, &times, context);
    }
    let schedule = Schedule {
        dbops: args.dbops.clone(),
        plans: plans(context)?,
        target: context.target_name().map(str::to_owned),
        env_file: args.env_file.clone(),
        times,
    };
    if args.kind == Kind::Cron && !Path::new(&args.dbops).is_absolute() {
        context.ui.warning(&format!(
            "cron looks for `{}` in /usr/bin and /bin only; give its absolute path with --dbops",
            args.dbops
        ));
    }
    let text = match args.kind {
        Kind::Kubernetes => kubernetes::manifests(
            &schedule,
            &Cluster {
                image: args.image.clone(),
                files: config_map(&loaded.files),
            },
        ),
        Kind::Systemd => {
            let units = systemd::units(&schedule).map_err(Failure::usage)?;
            match &args.out {
                None => systemd::text(&units),
                Some(folder) => write(folder, &units)?,
            }
        }
        Kind::Cron | Kind::PgCron => cron::fragment(&schedule),
    };
    context.ui.result(&text)?;
    Ok(Exit::Done)
}

fn script(args: &Args, loaded: &Loaded, times: &Times, context: &Context) -> anyhow::Result<Exit> {
    let mut problems = pg_cron::inexpressible(&loaded.plan.partitions).into_iter();
    if let Some(first) = problems.next() {
        let failure = problems.fold(Failure::refused(first), Failure::hint);
        bail!(failure.hint(
            "name plan files without `sub` for --kind pg-cron, and run dbops from outside for the rest"
        ));
    }
    let text = pg_cron::script(&Script {
        policies: &loaded.plan.partitions,
        budget: loaded.plan.lock_budget,
        when: &times.ensure,
        job: if args.without_cron {
            Job::Leave
        } else {
            Job::Schedule
        },
    });
    if times.prune.is_some() {
        context.ui.warning(
            "the script only creates; what `retain` says still needs `dbops partitions prune` from outside",
        );
    }
    context.ui.result(&text)?;
    Ok(Exit::Done)
}

/// The plan paths as a scheduler needs them, which starts in another folder.
fn plans(context: &Context) -> anyhow::Result<Vec<String>> {
    let named = context.plan_paths();
    let default = [PathBuf::from(if Path::new("plans").is_dir() {
        "plans"
    } else {
        "dbops.yaml"
    })];
    let paths = if named.is_empty() { &default } else { named };
    paths
        .iter()
        .map(|path| {
            let absolute = std::path::absolute(path)
                .with_context(|| format!("finding where `{}` is", path.display()))?;
            absolute
                .into_os_string()
                .into_string()
                .map_err(|path| Failure::usage(format!("`{}` is not UTF-8", path.display())).into())
        })
        .collect()
}

/// Each file under the name it gets in a ConfigMap, which holds no folders.
fn config_map(files: &[PathBuf]) -> Vec<(String, String)> {
    files
        .iter()
        .map(|file| {
            let path = file.display().to_string();
            let key = path
                .trim_start_matches(['.', '/'])
                .chars()
                .map(|c| match c {
                    c if c.is_ascii_alphanumeric() || "-._".contains(c) => c,
                    _ => '-',
                })
                .collect();
            (key, path)
        })
        .collect()
}

fn write(folder: &Path, units: &[systemd::Unit]) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("making folder `{}`", folder.display()))?;
    let mut written = String::new();
    for unit in units {
        let path = folder.join(&unit.name);
        std::fs::write(&path, &unit.text)
            .with_context(|| format!("writing `{}`", path.display()))?;
        written.push_str(&format!("{}\n", path.display()));
    }
    Ok(written)
}
