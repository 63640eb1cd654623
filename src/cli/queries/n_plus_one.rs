//! `dbops queries n-plus-one`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::source::{Place, SourceArgs, on_each, on_each_store, readings, tell};
use super::span;
use crate::catalog::key_model::Schema;
use crate::catalog::keys::{database, keys};
use crate::checks::n_plus_one::observation::Observation;
use crate::checks::n_plus_one::recorded::{of_even, of_recording, of_snapshot, whole};
use crate::checks::n_plus_one::report::Report;
use crate::checks::n_plus_one::score::{SUSPECT, Verdict};
use crate::checks::n_plus_one::{Options, detect};
use crate::cli::context::Context;
use crate::cli::signals::watch_interrupts;
use crate::cli::ui::text_width;
use crate::conn::{Session, begin_read};
use crate::failure::{Exit, Failure};
use crate::history::span::Span;
use crate::progress::Windows;
use crate::render::n_plus_one::{Evened, Node, Show, json, markdown, text};
use crate::sample::statements::even::Even;
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::read::Databases;
use crate::sample::statements::recording::Recording;
use crate::sample::statements::windows::{Length, Wanted, record};

/// Find statements that an application runs once for each row of another (N+1)
///
/// Reads pg_stat_statements in short windows while the application works: loops show by how their calls come in
/// bundles. Reads only; the statistics are never reset. `--from base..last` takes the stored readings of `queries snapshot`
/// between two as windows, `--from FILE` those of files.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Number of windows to record
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with_all = ["from", "stored"])]
    windows: u16,
    /// Length of a window: `auto` or a time such as 1s, 500ms
    #[arg(long, value_name = "TIME", default_value = "auto", value_parser = length, conflicts_with_all = ["from", "stored"])]
    window: Length,
    /// Lowest score to show
    #[arg(long, value_name = "SCORE", default_value_t = SUSPECT, value_parser = score)]
    min_score: f64,
    /// Show what is passed over too, and why
    #[arg(long)]
    all: bool,
    /// Show every term of the score of one statement
    #[arg(long, value_name = "FINGERPRINT")]
    explain: Option<String>,
    /// Exit with 1 when there is a statement of this verdict or a stronger one
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
    /// Part of the text of a statement that runs once per request
    #[arg(long, value_name = "TEXT")]
    request_anchor: Option<String>,
    /// Look also at columns of which nothing says that they are keys
    #[arg(long)]
    any_column: bool,
    /// Look also at keys with a meaning of their own: tokens, names
    #[arg(long)]
    natural_keys: bool,
    /// Milliseconds from the application to the server and back [default: measured from here]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    round_trip: Option<f64>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    Suspect,
    Strong,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Markdown,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let nodes = if let Some(span) = span_of(&args.source)? {
        on_each_store(&args.source, context, async |place, session| {
            stored(&args, context, &span, place, session).await
        })?
    } else if !args.source.from.is_empty() {
        vec![of_files(&args, context)?]
    } else if args.source.stored.is_some() {
        of_one_reading(&args, context)?
    } else {
        let plan = context.plan_for_targets()?;
        on_each(&args.source, context, &plan, async |place, session| {
            live(&args, context, place, session).await
        })?
    };
    let least = args.fail_on.map(|verdict| match verdict {
        FailOn::Suspect => Verdict::Suspect,
        FailOn::Strong => Verdict::Strong,
    });
    let failed = least.is_some_and(|least| {
        nodes
            .iter()
            .any(|node| node.report.suspects.iter().any(|one| one.verdict >= least))
    });
    // Fewer windows than asked for cannot say that there is nothing.
    let exit = if failed {
        Exit::Findings
    } else if nodes.iter().any(|node| node.failed.is_some()) {
        Exit::Unknown
    } else {
        Exit::Done
    };
    let show = Show {
        min_score: args.min_score,
        all: args.all,
        explain: args.explain.clone(),
        width: usize::from(text_width()),
    };
    if let Some(wanted) = &show.explain {
        let known = nodes
            .iter()
            .any(|node| node.statements().any(|print| print.starts_with(wanted)));
        if !known {
            return Err(Failure::usage(format!(
                "no statement with the fingerprint `{wanted}` was seen"
            ))
            .hint("--all shows every statement with its fingerprint")
            .into());
        }
    }
    let out = match args.output {
        Format::Json => json(&nodes, &show, exit),
        Format::Markdown => markdown(&nodes, &show),
        Format::Table => text(&nodes, &show),
    };
    context.ui.result(&out)?;
    Ok(exit)
}

impl Args {
    fn options(&self, recording: Option<&Recording>) -> Options {
        Options {
            natural_keys: self.natural_keys,
            any_column: self.any_column,
            request_anchor: self.request_anchor.clone(),
            round_trip_ms: self
                .round_trip
                .or(recording.and_then(|recording| recording.round_trip_ms))
                .unwrap_or(Options::default().round_trip_ms),
            evicted: recording
                .is_some_and(|recording| recording.windows.iter().any(|one| one.has_evictions())),
            ..Options::default()
        }
    }
}

async fn live(
    args: &Args,
    context: &Context,
    place: &Place<'_>,
    mut session: Session,
) -> anyhow::Result<Node> {
    let (_, schema) = read_keys(&mut session).await?;
    let wanted = Wanted {
        windows: usize::from(args.windows),
        length: args.window,
        databases: match &args.source.only_database {
            Some(name) => Databases::One(name.clone()),
            None => Databases::All,
        },
    };
    let mut interrupts = watch_interrupts()?;
    let stop = async move {
        if interrupts.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let bar = Windows::new(wanted.windows);
    let mut schemas = BTreeMap::new();
    let recording = record(&mut session, &wanted, stop, |recording| {
        if schemas.is_empty() {
            schemas = by_oid(&recording.first, &schema);
        }
        let report = detect(
            &of_recording(recording),
            &schemas,
            &args.options(Some(recording)),
        );
        bar.say(recording.windows.len(), partial(&report));
        ControlFlow::Continue(())
    })
    .await;
    bar.finish();
    let recording = recording?;
    tell(context, &place.name, &recording.last.notes());
    let schemas = by_oid(&recording.first, &schema);
    let kind = Kind::Live;
    Ok(node(args, place.name.clone(), &recording, &schemas, kind))
}

/// Where a recording comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Windows of one length, recorded just now.
    Live,
    /// Readings taken at any time.
    Kept,
}

/// What `--from A..B` asks for; `None`: files, or nothing.
fn span_of(source: &SourceArgs) -> anyhow::Result<Option<Span>> {
    let span = |path: &PathBuf| -> Option<Span> {
        // A file of that name is a file.
        if path.exists() {
            return None;
        }
        path.to_str()?.parse().ok()
    };
    let spans: Vec<Span> = source.from.iter().filter_map(span).collect();
    if !spans.is_empty() && source.from.len() > 1 {
        bail!(Failure::usage(
            "stored readings are judged for themselves: --from A..B cannot be given beside another --from"
        ));
    }
    Ok(spans.into_iter().next())
}

/// Judges stored readings: what was counted from each to the next is a window.
async fn stored(
    args: &Args,
    context: &Context,
    span: &Span,
    place: &Place<'_>,
    mut session: Session,
) -> anyhow::Result<Node> {
    let (database, schema) = read_keys(&mut session).await?;
    let only = args.source.only_database.as_deref();
    let recording = span::recording(&mut session, place, span, only).await?;
    tell(context, &place.name, &recording.last.notes());
    let schemas = of_database(&recording.last, &database, &schema);
    let kind = Kind::Kept;
    Ok(node(args, place.name.clone(), &recording, &schemas, kind))
}

/// Judges one stored reading of each node.
fn of_one_reading(args: &Args, context: &Context) -> anyhow::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for sampled in readings(&args.source, context)? {
        let recording = Recording::of_readings(&sampled.readings).context("no reading")?;
        tell(context, &sampled.name, &recording.last.notes());
        nodes.push(node(
            args,
            sampled.name,
            &recording,
            &BTreeMap::new(),
            Kind::Kept,
        ));
    }
    Ok(nodes)
}

/// What the windows so far tell, for the bar.
fn partial(report: &Report) -> String {
    let found: Vec<_> = report
        .suspects
        .iter()
        .filter(|one| one.verdict >= Verdict::Suspect)
        .collect();
    match found.first() {
        None => format!("{} statements, no loop so far", report.suspects.len()),
        Some(first) => {
            let what = first
                .column
                .as_ref()
                .map_or_else(String::new, |(table, column)| format!(" {table}.{column}"));
            format!(
                "{} so far, first: {}{what}, score {:.0}",
                found.len(),
                first.kind.word(),
                first.score
            )
        }
    }
}

/// Judges readings of files: those of all files in a row, oldest first.
fn of_files(args: &Args, context: &Context) -> anyhow::Result<Node> {
    let sampled = readings(&args.source, context)?;
    let name = sampled
        .iter()
        .map(|one| one.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let mut all: Vec<Snapshot> = sampled.into_iter().flat_map(|one| one.readings).collect();
    all.sort_by(|a, b| a.origin.taken_at.total_cmp(&b.origin.taken_at));
    let recording = Recording::of_readings(&all).context("no reading")?;
    tell(context, &name, &recording.last.notes());
    let kind = Kind::Kept;
    Ok(node(args, name, &recording, &BTreeMap::new(), kind))
}

fn node(
    args: &Args,
    name: String,
    recording: &Recording,
    schemas: &BTreeMap<u32, Schema>,
    kind: Kind,
) -> Node {
    let mut even = None;
    let observation: Observation = if recording.windows.is_empty() {
        of_snapshot(&recording.last)
    } else if kind == Kind::Live {
        of_recording(recording)
    } else {
        of_even(recording, even.insert(recording.even()))
    };
    let options = args.options(Some(recording));
    let mut report = detect(&observation, schemas, &options);
    if let Some(even) = &even {
        whole(&mut report, even.whole());
    }
    let mut rejected: Vec<String> = Vec::new();
    for (number, window) in recording.windows.iter().enumerate() {
        if !window.is_usable() {
            let why: Vec<String> = window.doubts.iter().map(|doubt| doubt.words()).collect();
            rejected.push(format!("window {}: {}", number + 1, why.join("; ")));
        }
    }
    Node {
        target: name,
        databases: recording.last.databases.clone(),
        roles: recording.last.roles.clone(),
        windows: recording.windows.len(),
        window_seconds: recording.window_seconds,
        rejected,
        even: even.map(|even: Even| Evened {
            seconds: even.seconds,
            joined: even.joined,
            scaled: even.scaled,
            left_out: even.left_out,
        }),
        evicted: options.evicted,
        hidden: recording.last.origin.hidden,
        round_trip_ms: options.round_trip_ms,
        keys_of: schemas
            .keys()
            .filter_map(|oid| recording.last.databases.get(oid).cloned())
            .collect(),
        interrupted: recording.interrupted,
        failed: recording.failed.clone(),
        report,
    }
}

/// Returns the name of the database that the session is in, and its keys.
pub(super) async fn read_keys(session: &mut Session) -> anyhow::Result<(String, Schema)> {
    let version_num = session.server_version_num();
    let tx = begin_read(session).await?;
    let name = database(&tx).await?;
    let schema = keys(&tx, version_num).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok((name, schema))
}

/// The catalog is that of the database that was connected to.
fn by_oid(snapshot: &Snapshot, schema: &Schema) -> BTreeMap<u32, Schema> {
    of_database(snapshot, &snapshot.origin.database, schema)
}

pub(super) fn of_database(
    snapshot: &Snapshot,
    database: &str,
    schema: &Schema,
) -> BTreeMap<u32, Schema> {
    snapshot
        .databases
        .iter()
        .filter(|(_, name)| *name == database)
        .map(|(oid, _)| (*oid, schema.clone()))
        .collect()
}

fn length(text: &str) -> Result<Length, String> {
    if text == "auto" {
        return Ok(Length::Auto);
    }
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => match text.strip_suffix("min") {
            Some(number) => (number, 60.0),
            None => (text.strip_suffix('s').unwrap_or(text), 1.0),
        },
    };
    match number.trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value * scale <= 3_600.0 => Ok(Length::Seconds(value * scale)),
        _ => Err("`auto`, or a time above zero up to an hour: 500ms, 1s, 2min".to_owned()),
    }
}

fn score(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 100".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=10_000.0).contains(&value) => Ok(value),
        _ => Err("milliseconds from 0 to 10000".to_owned()),
    }
}
