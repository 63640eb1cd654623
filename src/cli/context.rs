//! What every command is given: global flags, environment, clock, the way to the terminal.
#![expect(
    clippy::disallowed_methods,
    reason = "the clock and the environment are read here and handed down"
)]

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;

use super::ui::{Color, Loudness, Ui};
use crate::conn::target::{Node, resolve};
use crate::conn::{Env, Overrides, Settings};
use crate::failure::Failure;
use crate::plan_file::diagnose::Style;
use crate::plan_file::load::{Loaded, load};
use crate::plan_file::{PlanFile, Target};

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// Plan files or folders of them [default: plans/, else dbops.yaml]
    #[arg(short, long = "plan", value_name = "PATH", global = true)]
    plan: Vec<PathBuf>,
    /// Target of the plan files, or `all`
    #[arg(long, value_name = "NAME", global = true)]
    target: Option<String>,
    /// Connection URL or key=value pairs; goes before DATABASE_URL and the PG* variables
    #[arg(long, value_name = "URL", global = true, help_heading = "Connection")]
    database_url: Option<String>,
    /// Server host or socket directory
    #[arg(long, value_name = "HOST", global = true, help_heading = "Connection")]
    host: Option<String>,
    /// Server port
    #[arg(long, value_name = "PORT", global = true, help_heading = "Connection")]
    port: Option<String>,
    /// Role to connect as
    #[arg(
        short = 'U',
        long,
        value_name = "ROLE",
        global = true,
        help_heading = "Connection"
    )]
    user: Option<String>,
    /// Database to connect to
    #[arg(
        short,
        long,
        value_name = "NAME",
        global = true,
        help_heading = "Connection"
    )]
    dbname: Option<String>,
    /// Use this instant as now: 2027-03-01 or 2027-03-01T12:00:00Z
    #[arg(long, value_name = "TIMESTAMP", global = true, value_parser = parse_as_of)]
    as_of: Option<DateTime<Utc>>,
    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    color: Color,
    /// Say errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is done
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// What every command is given.
pub(crate) struct Context {
    pub(super) ui: Ui,
    pub(super) env: Env,
    global: GlobalArgs,
}

/// A target to work on: its name in reports and how to reach its primary.
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) target: Option<Target>,
}

impl Context {
    pub(super) fn new(global: GlobalArgs) -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
            .ok()
            .flatten();
        let env = Env::new(
            // A value that is not UTF-8 cannot be a setting of a connection.
            std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
            user.map(|user| user.name),
        );
        let loudness = match (global.quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            _ => Loudness::Normal,
        };
        let no_color = env.var("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            ui: Ui::new(global.color, no_color, loudness),
            env,
            global,
        }
    }

    /// The instant used as now by everything that plans.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.global.as_of.unwrap_or_else(clock)
    }

    /// The instant given by `--as-of`, if any.
    pub(super) fn as_of(&self) -> Option<DateTime<Utc>> {
        self.global.as_of
    }

    /// Returns the flag that names a server or a plan, if any: for commands that bring their own.
    pub(super) fn place_flag(&self) -> Option<&'static str> {
        let global = &self.global;
        [
            ("--plan", !global.plan.is_empty()),
            ("--target", global.target.is_some()),
            ("--database-url", global.database_url.is_some()),
            ("--host", global.host.is_some()),
            ("--port", global.port.is_some()),
            ("--user", global.user.is_some()),
            ("--dbname", global.dbname.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    /// Returns the plan files and folders named, none where the default ones are meant.
    pub(super) fn plan_paths(&self) -> &[PathBuf] {
        &self.global.plan
    }

    /// Returns what `--target` says.
    pub(super) fn target_name(&self) -> Option<&str> {
        self.global.target.as_deref()
    }

    /// Loads the plan files; every problem goes to stderr with its place.
    pub(super) fn plan(&self) -> anyhow::Result<Loaded> {
        let style = if self.ui.color {
            Style::Colour
        } else {
            Style::Plain
        };
        match load(&self.global.plan) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    self.ui.raw(&format!("{}\n", warning.render(style)));
                }
                Ok(loaded)
            }
            Err(problems) => {
                self.ui.raw(&problems.render(style));
                bail!(Failure::usage("the plan files cannot be used"))
            }
        }
    }

    /// Loads the plan files where the command can do without; errors in files that exist still count.
    pub(super) fn plan_if_any(&self) -> anyhow::Result<PlanFile> {
        let default_there = ["plans", "dbops.yaml"]
            .iter()
            .any(|path| std::path::Path::new(path).exists());
        if self.global.plan.is_empty() && !default_there {
            return Ok(PlanFile::default());
        }
        Ok(self.plan()?.plan)
    }

    /// Loads the plan files for their targets alone: a connection named by a flag needs none.
    pub(super) fn plan_for_targets(&self) -> anyhow::Result<PlanFile> {
        let explicit = self.global.database_url.is_some() || self.global.host.is_some();
        if explicit && self.global.plan.is_empty() {
            Ok(PlanFile::default())
        } else {
            self.plan_if_any()
        }
    }

    /// Returns the targets chosen by `--target`, by the connection flags, or the plan's only one.
    pub(super) fn targets(&self, plan: &PlanFile) -> anyhow::Result<Vec<Selected>> {
        let named = |name: &str, target: &Target| Selected {
            name: name.to_owned(),
            target: Some(target.clone()),
        };
        match self.global.target.as_deref() {
            Some("all") => {
                if plan.targets.is_empty() {
                    bail!(Failure::usage(
                        "--target all: the plan files declare no targets"
                    ));
                }
                Ok(plan
                    .targets
                    .iter()
                    .map(|(name, target)| named(name, target))
                    .collect())
            }
            Some(name) => match plan.targets.get(name) {
                Some(target) => Ok(vec![named(name, target)]),
                None => {
                    let known: Vec<&str> = plan.targets.keys().map(String::as_str).collect();
                    Err(
                        Failure::usage(format!("there is no target `{name}` in the plan files"))
                            .hint(if known.is_empty() {
                                "the plan files declare no targets; see docs/plan-files.md"
                                    .to_owned()
                            } else {
                                format!("declared targets: {}", known.join(", "))
                            })
                            .into(),
                    )
                }
            },
            None => {
                let explicit = self.global.database_url.is_some() || self.global.host.is_some();
                let mut targets = plan.targets.iter();
                match (targets.next(), targets.next()) {
                    (Some((name, target)), None) if !explicit => Ok(vec![named(name, target)]),
                    (Some(_), Some(_)) if !explicit => {
                        let known: Vec<&str> = plan.targets.keys().map(String::as_str).collect();
                        Err(Failure::usage(format!(
                            "the plan files declare several targets: {}",
                            known.join(", ")
                        ))
                        .hint("choose one with --target NAME, or --target all")
                        .into())
                    }
                    _ => Ok(vec![Selected {
                        name: "default".to_owned(),
                        target: None,
                    }]),
                }
            }
        }
    }

    /// Returns how to reach a target's primary.
    pub(super) fn settings(&self, selected: &Selected) -> anyhow::Result<Settings> {
        self.settings_of(selected, Node::Primary)
    }

    /// Returns how to reach one of a target's nodes.
    pub(super) fn settings_of(
        &self,
        selected: &Selected,
        node: Node<'_>,
    ) -> anyhow::Result<Settings> {
        let settings = self.resolved(selected, node)?;
        for warning in &settings.warnings {
            self.ui.warning(warning);
        }
        self.ui
            .detail(&format!("target {}: {settings}", selected.name));
        Ok(settings)
    }

    /// The same without a word about it: for a look ahead.
    ///
    /// # Errors
    /// As those of [`Self::settings_of`].
    pub(super) fn resolved(&self, selected: &Selected, node: Node<'_>) -> anyhow::Result<Settings> {
        let overrides = Overrides {
            database_url: self.global.database_url.clone(),
            host: self.global.host.clone(),
            port: self.global.port.clone(),
            user: self.global.user.clone(),
            dbname: self.global.dbname.clone(),
        };
        resolve(selected.target.as_ref(), node, &overrides, &self.env)
            .with_context(|| format!("target {}", selected.name))
    }

    /// The file that takes the history where the database does not.
    pub(super) fn history_file(&self) -> PathBuf {
        let state = self
            .env
            .var("XDG_STATE_HOME")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .or_else(|| self.env.in_home(".local/state"))
            .unwrap_or_else(|| PathBuf::from("."));
        state.join("dbops").join("history.jsonl")
    }

    /// Runs a future to its end on one thread: dbops waits far more than it computes.
    pub(super) fn block_on<T>(
        &self,
        future: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?
            .block_on(future)
    }
}

/// The clock.
pub(super) fn clock() -> DateTime<Utc> {
    Utc::now()
}

fn parse_as_of(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(date.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .map_err(|_| {
            "write a date (2027-03-01) or an RFC 3339 timestamp (2027-03-01T12:00:00Z)".to_owned()
        })
}
