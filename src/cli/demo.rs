//! `dbops demo`: throw-away servers, a reference system, and the commands a person would type.
//!
//! The commands are run by this very program as separate processes: what is shown is what
//! typing the line would show.

mod scenes;
mod watching;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use self::scenes::{OTHERS, On, SCENES, STATEMENTS, Scene};
use super::context::Context;
use super::signals::watch_interrupts;
use super::ui::Loudness;
use crate::failure::{Exit, Failure};
use crate::sandbox::{Amount, Cluster, PgInstall, System, Traffic};

/// Show what dbops does on a throw-away primary and standby: nothing of yours is touched
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Reference system to load
    #[arg(long, value_name = "SYSTEM", default_value = "gobapp", value_parser = system_parser())]
    system: System,
    /// Months of data, the current one counted
    #[arg(long, value_name = "COUNT", default_value_t = 27, value_parser = clap::value_parser!(u32).range(1..=240))]
    months: u32,
    /// Rows of the biggest table
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    rows: u32,
    /// Keep the servers until Ctrl-C and print how to reach them
    #[arg(long)]
    keep: bool,
}

fn system_parser() -> impl TypedValueParser<Value = System> {
    let values = System::all()
        .iter()
        .map(|system| PossibleValue::new(system.name()).help(system.about()));
    PossibleValuesParser::new(values)
        .try_map(|name| System::named(&name).ok_or("not a reference system"))
}

/// The system whose application can be run.
const WITH_TRAFFIC: &str = "gobapp";

pub(super) fn run(args: Args, context: &Context) -> Result<Exit> {
    if let Some(flag) = context.place_flag() {
        return Err(Failure::usage(format!(
            "{flag} means nothing here: the demo brings its own servers and plan file"
        ))
        .into());
    }
    context.block_on(async {
        let mut interrupt = watch_interrupts()?;
        let work = Work::new(context);
        let stage = tokio::select! {
            biased;
            () = interrupted(&mut interrupt) => None,
            stage = work.build(&args) => Some(stage),
        };
        work.spinner.finish_and_clear();
        let Some(stage) = stage.transpose()? else {
            return Ok(gone(context));
        };
        let played = tokio::select! {
            biased;
            () = interrupted(&mut interrupt) => None,
            played = stage.play(&args, context) => Some(played),
        };
        if played.transpose()?.is_none() {
            drop(stage);
            return Ok(gone(context));
        }
        if args.keep {
            context.ui.result(&stage.addresses())?;
            interrupted(&mut interrupt).await;
        }
        work.say("stopping the servers and removing their files");
        drop(stage);
        work.spinner.finish_and_clear();
        if !args.keep {
            context.ui.result(&afterwards(args.system))?;
        }
        Ok(Exit::Done)
    })
}

fn gone(context: &Context) -> Exit {
    context
        .ui
        .warning("interrupted; the servers are stopped and their files are removed");
    Exit::Interrupted
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted(interrupt: &mut watch::Receiver<bool>) {
    if interrupt.wait_for(|pressed| *pressed).await.is_err() {
        // Without a sender nobody can interrupt any more.
        std::future::pending::<()>().await;
    }
}

/// Says on stderr what is being done: a spinner on a terminal, lines with `--verbose` elsewhere.
struct Work<'a> {
    spinner: ProgressBar,
    context: &'a Context,
}

impl<'a> Work<'a> {
    fn new(context: &'a Context) -> Self {
        let target = match context.ui.loudness {
            Loudness::Quiet => ProgressDrawTarget::hidden(),
            // Hidden by itself where stderr is no terminal.
            _ => ProgressDrawTarget::stderr(),
        };
        let spinner = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self { spinner, context }
    }

    fn say(&self, message: &str) {
        self.spinner.set_message(message.to_owned());
        self.context.ui.detail(message);
    }

    async fn build(&self, args: &Args) -> Result<Stage> {
        let find = |name: &str| self.context.env.var(name).map(OsString::from);
        let install = PgInstall::find(&find).map_err(|error| without_postgres(&error))?;
        let spinner = self.spinner.clone();
        let ui = self.context.ui;
        let mut primary = Cluster::builder(&install)
            .on_progress(move |message| {
                spinner.set_message(message.to_owned());
                ui.detail(message);
            })
            .start()
            .await?;
        self.say(&format!(
            "loading `{}`: {} months, {} rows",
            args.system.name(),
            args.months,
            args.rows
        ));
        let database = args.system.name();
        let counts = preload(&mut primary).await?;
        let admin = primary.connect("postgres").await?;
        admin
            .query(
                &format!("create database {}", crate::ident::quote_ident(database)),
                &[],
            )
            .await
            .context("creating the database")?;
        let client = primary.connect(database).await?;
        let amount = Amount {
            months: args.months,
            rows: args.rows,
            end: end_of_data(self.context),
        };
        args.system.load(&client, &amount).await?;
        let standby = primary.standby("standby").slot("standby").start().await?;
        let stage = Stage {
            standby,
            primary,
            system: args.system,
            counts,
        };
        let plans = stage.folder().join("plans");
        write_plans(&plans, args.system)?;
        Ok(stage)
    }
}

/// The instant before which all rows lie, where one is given.
fn end_of_data(context: &Context) -> Option<String> {
    context
        .as_of()
        .map(|instant| instant.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Writes a system's plan files into a new folder.
fn write_plans(folder: &Path, system: System) -> Result<()> {
    std::fs::create_dir(folder)
        .and_then(|()| std::fs::write(folder.join("partitions.yaml"), system.partitions()))
        .and_then(|()| std::fs::write(folder.join("indexes.yaml"), system.indexes()))
        .with_context(|| format!("writing the plan files into {}", folder.display()))
}

fn without_postgres(error: &anyhow::Error) -> Failure {
    Failure::usage(format!("the demo needs a PostgreSQL server: {error:#}"))
        .hint("Debian, Ubuntu: apt-get install postgresql")
        .hint("Fedora, RHEL: dnf install postgresql-server")
        .hint("macOS: brew install postgresql@18")
}

/// Everything that runs; dropping it stops the servers, the standby first.
struct Stage {
    standby: Cluster,
    primary: Cluster,
    system: System,
    /// Whether the server counts statements.
    counts: bool,
}

/// Makes the server count statements, where its installation can; returns whether it does.
async fn preload(primary: &mut Cluster) -> Result<bool> {
    let admin = primary.connect("postgres").await?;
    let there: bool = admin
        .query_one(
            "select exists (select from pg_catalog.pg_available_extensions where name = 'pg_stat_statements')",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .context("looking for pg_stat_statements")?;
    if there {
        admin
            .query(
                "alter system set shared_preload_libraries = 'pg_stat_statements'",
                &[],
            )
            .await
            .context("having pg_stat_statements loaded")?;
        drop(admin);
        primary.stop();
        primary.launch().await?;
    }
    Ok(there)
}

impl Stage {
    /// The folder that the commands run in; it goes with the primary, however this process ends.
    fn folder(&self) -> PathBuf {
        self.primary.socket_dir().to_owned()
    }

    /// An address over the Unix socket, which asks for no password: this text is printed.
    fn url(&self, on: On) -> String {
        let cluster = match on {
            On::Primary => &self.primary,
            On::Standby => &self.standby,
        };
        format!(
            "postgresql:///{}?host={}&port={}&user=postgres",
            self.system.name(),
            cluster.socket_dir().display(),
            cluster.port()
        )
    }

    async fn play(&self, args: &Args, context: &Context) -> Result<()> {
        context.ui.result(&format!(
            "dbops demo: {about}\n\
             PostgreSQL {version}, a primary and a streaming standby, {months} months of data.\n\
             Everything lives in {folder} and goes at the end.\n\n\
             $ cd {folder}\n\
             $ export DATABASE_URL='{primary}'\n\
             $ export STANDBY_URL='{standby}'\n\n\
             # The plan files say what should be.\n\
             $ cat plans/partitions.yaml\n{partitions}\n\
             $ cat plans/indexes.yaml\n{indexes}",
            about = format_args!("{}, {}", self.system.name(), self.system.about()),
            version = self.primary.install().version(),
            months = args.months,
            folder = self.folder().display(),
            primary = self.url(On::Primary),
            standby = self.url(On::Standby),
            partitions = self.system.partitions(),
            indexes = self.system.indexes(),
        ))?;
        for scene in SCENES {
            self.show(scene, self.system, context).await?;
        }
        for other in System::all().iter().filter(|other| **other != self.system) {
            self.load_other(*other, args, context).await?;
            context.ui.result(&format!(
                "\n# The indexes of `{}`, {}, on tables with rows.\n",
                other.name(),
                other.about()
            ))?;
            for scene in OTHERS {
                self.show(scene, *other, context).await?;
            }
        }
        if self.system.name() == WITH_TRAFFIC {
            self.show_statements(context).await?;
        }
        self.show_watching(context).await?;
        Ok(())
    }

    /// Shows what the server counts of statements, while an application runs.
    async fn show_statements(&self, context: &Context) -> Result<()> {
        context.ui.result("\n# Statements.\n")?;
        if !self.counts {
            context.ui.result(
                "# This PostgreSQL has no pg_stat_statements (Fedora: dnf install postgresql-contrib), so nothing is shown.\n",
            )?;
            return Ok(());
        }
        let client = self.primary.connect(WITH_TRAFFIC).await?;
        // What loaded the rows is not the application's.
        for sql in [
            "create extension pg_stat_statements",
            "select pg_stat_statements_reset()",
        ] {
            client
                .query(sql, &[])
                .await
                .context("installing pg_stat_statements")?;
        }
        let _traffic = Traffic::start(&self.primary, WITH_TRAFFIC).await?;
        for scene in STATEMENTS {
            self.show(scene, self.system, context).await?;
        }
        Ok(())
    }

    /// Loads another system, smaller, into a database of its own.
    async fn load_other(&self, system: System, args: &Args, context: &Context) -> Result<()> {
        let admin = self.primary.connect("postgres").await?;
        admin
            .query(
                &format!(
                    "create database {}",
                    crate::ident::quote_ident(system.name())
                ),
                &[],
            )
            .await
            .context("creating the database")?;
        let client = self.primary.connect(system.name()).await?;
        system
            .load(
                &client,
                &Amount {
                    months: args.months.min(3),
                    rows: args.rows.min(5_000),
                    end: end_of_data(context),
                },
            )
            .await?;
        write_plans(
            &self.folder().join(format!("plans-{}", system.name())),
            system,
        )
    }

    /// Shows the command line, then runs it with the terminal as its own.
    async fn show(&self, scene: &Scene, system: System, context: &Context) -> Result<()> {
        self.show_with(scene, system, context, &[]).await
    }

    /// The same with more in the environment.
    async fn show_with(
        &self,
        scene: &Scene,
        system: System,
        context: &Context,
        more: &[(&str, &str)],
    ) -> Result<()> {
        let mut args: Vec<String> = scene.args.iter().map(|&arg| arg.to_owned()).collect();
        if system != self.system {
            args.extend([
                "--plan".to_owned(),
                format!("plans-{}", system.name()),
                "--dbname".to_owned(),
                system.name().to_owned(),
            ]);
        }
        if let Some(instant) = context.as_of() {
            args.push("--as-of".to_owned());
            args.push(instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        }
        let line = format!("dbops {}", args.join(" "));
        let prefix = match scene.on {
            On::Primary => "",
            On::Standby => "DATABASE_URL=$STANDBY_URL ",
        };
        if scene.on == On::Standby {
            self.caught_up().await?;
        }
        let says = match scene.says {
            "" => String::new(),
            says => format!("\n# {says}\n"),
        };
        context.ui.result(&format!("{says}$ {prefix}{line}\n"))?;
        let program = std::env::current_exe().context("finding the program itself")?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(&args)
            .current_dir(self.folder())
            // What the person's own environment says about servers must not reach the demo.
            .env_clear()
            .env("HOME", self.folder())
            .env("DATABASE_URL", self.url(scene.on))
            .env("STANDBY_URL", self.url(On::Standby))
            .envs(more.iter().copied())
            .kill_on_drop(true);
        for name in ["PATH", "LANG", "TERM", "COLUMNS", "NO_COLOR"] {
            if let Some(value) = context.env.var(name) {
                command.env(name, value);
            }
        }
        let status = command
            .status()
            .await
            .with_context(|| format!("running `{line}`"))?;
        if !status
            .code()
            .is_some_and(|code| scene.exits.contains(&code))
        {
            bail!(Failure::new(
                Exit::PartWay,
                format!(
                    "`{line}` was to end with {:?} on the demo's servers and ended with {status}",
                    scene.exits
                )
            ));
        }
        Ok(())
    }

    /// Waits until the standby shows what the primary has written so far.
    async fn caught_up(&self) -> Result<()> {
        let primary = self.primary.connect("postgres").await?;
        let standby = self.standby.connect("postgres").await?;
        let written: String = primary
            .query_one("select pg_catalog.pg_current_wal_lsn()::text", &[])
            .await
            .and_then(|row| row.try_get(0))
            .context("reading the primary's position")?;
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let there: Option<bool> = standby
                .query_one(
                    "select pg_catalog.pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
                    &[&written],
                )
                .await
                .and_then(|row| row.try_get(0))
                .context("reading the standby's position")?;
            if there == Some(true) {
                return Ok(());
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "the standby did not catch up within 30 s; its log ends:\n{}",
                    self.standby.log_tail(20)
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How to reach the servers from any client; the passwords go with the servers.
    fn addresses(&self) -> String {
        let database = self.system.name();
        format!(
            "\n# The servers stay until Ctrl-C here (or: kill {}). In another terminal:\n\
             cd {}\n\
             export DATABASE_URL='{}'\n\
             export STANDBY_URL='{}'\n\
             dbops partitions list\n",
            std::process::id(),
            self.folder().display(),
            self.primary.url_for(database),
            self.standby.url_for(database),
        )
    }
}

fn afterwards(system: System) -> String {
    let other = System::all()
        .iter()
        .find(|other| **other != system)
        .map_or("gobapp", |other| other.name());
    format!(
        "\n# All of it is gone. What to try next:\n\
         dbops demo --keep                  # the same, and the servers stay until Ctrl-C\n\
         dbops demo --system {other:<14} # another reference system\n\
         export DATABASE_URL=…              # a database of yours; these only read:\n\
         dbops doctor                       # what is missing, and how to put it right\n\
         dbops partitions list\n\
         dbops partitions ensure --dry-run  # with a plan file like the one above in plans/\n"
    )
}
