//! Where the readings of `dbops queries` come from: servers, or files written before.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::context::{Context, Selected};
use crate::conn::target::Node;
use crate::conn::{Purpose, Session, begin_read, connect};
use crate::failure::Failure;
use crate::history::statements::{self, Which};
use crate::plan_file::PlanFile;
use crate::sample::statements::file;
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::notes::Note;
use crate::sample::statements::read::{Databases, Options, Own, Texts, read};

/// Arguments of every command that reads statements.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SourceArgs {
    /// Read files that `queries snapshot` wrote instead of a server
    #[arg(long, value_name = "FILE")]
    pub(super) from: Vec<PathBuf>,
    /// Read what `queries snapshot` stored: `last`, a number, a name, or an instant like 2027-03-01T12:00:00Z
    #[arg(long, value_name = "WHICH", conflicts_with_all = ["from", "only_dbname"])]
    pub(super) stored: Option<Which>,
    /// Node of the target: a replica's name, or `all` [default: the primary]
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// Statements of this database alone [default: all of the server]
    #[arg(long = "only-database", id = "only_dbname", value_name = "NAME")]
    pub(super) only_database: Option<String>,
}

/// Readings of one node, oldest first.
pub(super) struct Sampled {
    /// The target's name, with the replica's where it is one; of a file its path.
    pub(super) name: String,
    /// At least one.
    pub(super) readings: Vec<Snapshot>,
}

/// A node to read.
pub(super) struct Place<'a> {
    pub(super) name: String,
    selected: &'a Selected,
    replica: Option<String>,
}

/// Returns the readings of the files named, or one reading of each node chosen.
///
/// # Errors
/// Usage, connection, or why the extension cannot be read.
pub(super) fn readings(args: &SourceArgs, context: &Context) -> anyhow::Result<Vec<Sampled>> {
    if !args.from.is_empty() {
        if args.node.is_some() || args.only_database.is_some() {
            return Err(Failure::usage(
                "--node and --only-database choose what is read of a server, not of a file",
            )
            .into());
        }
        return args
            .from
            .iter()
            .map(|path| {
                let readings = file::load(path)?;
                if readings.is_empty() {
                    return Err(
                        Failure::usage(format!("{} holds no reading", path.display())).into(),
                    );
                }
                Ok(Sampled {
                    name: path.display().to_string(),
                    readings,
                })
            })
            .collect();
    }
    let plan = context.plan_for_targets()?;
    if let Some(which) = &args.stored {
        let targets = context.targets(&plan)?;
        return places(args, &targets)?
            .iter()
            .map(|place| {
                let snapshot = context.block_on(stored(context, place, which));
                Ok(Sampled {
                    name: place.name.clone(),
                    readings: vec![snapshot.with_context(|| format!("target {}", place.name))?],
                })
            })
            .collect();
    }
    on_each(args, context, &plan, async |place, mut session| {
        let snapshot = take(&mut session, &args.options(Texts::All)).await?;
        Ok(Sampled {
            name: place.name.clone(),
            readings: vec![snapshot],
        })
    })
}

/// Runs something on each node chosen, one after the other.
///
/// # Errors
/// Usage, connection, or what it returns.
pub(super) fn on_each<T>(
    args: &SourceArgs,
    context: &Context,
    plan: &PlanFile,
    each: impl AsyncFn(&Place<'_>, Session) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let targets = context.targets(plan)?;
    let mut results = Vec::new();
    for place in places(args, &targets)? {
        let result = context.block_on(async {
            let session = open(context, &place).await?;
            each(&place, session).await
        });
        results.push(result.with_context(|| format!("target {}", place.name))?);
    }
    Ok(results)
}

/// Refuses when several nodes are chosen: for what goes to one file.
///
/// # Errors
/// Usage.
pub(super) fn only_one(
    args: &SourceArgs,
    context: &Context,
    plan: &PlanFile,
) -> anyhow::Result<()> {
    let targets = context.targets(plan)?;
    match places(args, &targets)?.len() {
        1 => Ok(()),
        several => Err(Failure::usage(format!(
            "--file takes the reading of one node, {several} are chosen"
        ))
        .hint("choose one with --target NAME and --node NAME")
        .into()),
    }
}

/// Reads a stored reading of the one node chosen.
///
/// # Errors
/// Usage, connection, or that there is none.
pub(super) fn kept(
    args: &SourceArgs,
    context: &Context,
    which: &Which,
) -> anyhow::Result<Snapshot> {
    on_one(args, context, |place| {
        context.block_on(stored(context, place, which))
    })
}

/// Runs something on each node chosen, with a session to the primary, where what is stored of it is.
///
/// # Errors
/// Usage, connection, or what it returns.
pub(super) fn on_each_store<T>(
    args: &SourceArgs,
    context: &Context,
    each: impl AsyncFn(&Place<'_>, Session) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let plan = context.plan_for_targets()?;
    let targets = context.targets(&plan)?;
    let mut results = Vec::new();
    for place in places(args, &targets)? {
        let result = context.block_on(async {
            let session = primary(context, &place, Purpose::Read).await?;
            each(&place, session).await
        });
        results.push(result.with_context(|| format!("target {}", place.name))?);
    }
    Ok(results)
}

/// Returns the numbers of the stored readings of the one node chosen, newest first.
///
/// # Errors
/// Usage or connection.
pub(super) fn kept_ids(args: &SourceArgs, context: &Context) -> anyhow::Result<Vec<i64>> {
    on_one(args, context, |place| {
        let listed = context.block_on(async {
            let mut session = primary(context, place, Purpose::Read).await?;
            let tx = begin_read(&mut session).await?;
            statements::list(&tx).await
        })?;
        let mut all = listed.unwrap_or_default();
        all.retain(|one| one.node == place.name);
        Ok(all.iter().map(|one| one.id).collect())
    })
}

fn on_one<T>(
    args: &SourceArgs,
    context: &Context,
    run: impl FnOnce(&Place<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let plan = context.plan_for_targets()?;
    let targets = context.targets(&plan)?;
    let places = places(args, &targets)?;
    let [place] = places.as_slice() else {
        return Err(
            Failure::usage("a reading is compared with that of one node")
                .hint("choose one with --target NAME and --node NAME")
                .into(),
        );
    };
    run(place).with_context(|| format!("target {}", place.name))
}

impl SourceArgs {
    /// Returns the databases whose entries are read.
    pub(super) fn databases(&self) -> Databases {
        match &self.only_database {
            Some(name) => Databases::One(name.clone()),
            None => Databases::All,
        }
    }

    /// Returns what is read of a server.
    pub(super) fn options(&self, texts: Texts) -> Options {
        Options {
            databases: self.databases(),
            texts,
            own: Own::Exclude,
        }
    }
}

/// Connects to a node.
async fn open(context: &Context, place: &Place<'_>) -> anyhow::Result<Session> {
    let node = match &place.replica {
        Some(name) => Node::Replica(name),
        None => Node::Primary,
    };
    connect(&context.settings_of(place.selected, node)?, Purpose::Read).await
}

/// Connects to the primary of a node's target, where what is stored of the node is.
///
/// # Errors
/// Connection.
pub(super) async fn primary(
    context: &Context,
    place: &Place<'_>,
    purpose: Purpose,
) -> anyhow::Result<Session> {
    connect(&context.settings(place.selected)?, purpose).await
}

/// Reads a stored reading of a node; a name or a number says already which node.
///
/// # Errors
/// Connection, or that there is none.
pub(super) async fn stored(
    context: &Context,
    place: &Place<'_>,
    which: &Which,
) -> anyhow::Result<Snapshot> {
    let mut session = primary(context, place, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let node = match which {
        Which::Last | Which::At(_) => Some(place.name.as_str()),
        Which::Id(_) | Which::Name(_) => None,
    };
    statements::load(&tx, which, node).await
}

/// Takes one reading in a read-only transaction of its own.
///
/// # Errors
/// Connection, or why the extension cannot be read.
pub(super) async fn take(session: &mut Session, options: &Options) -> anyhow::Result<Snapshot> {
    let tx = begin_read(session).await?;
    let snapshot = read(&tx, options).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(snapshot)
}

/// Says what a reading cannot show; what is only not counted where details are wanted.
pub(super) fn tell(context: &Context, name: &str, notes: &[Note]) {
    for note in notes {
        let text = format!("target {name}: {}", note.text);
        if note.about.is_warning() {
            context.ui.warning(&text);
            if let Some(fix) = &note.fix {
                context.ui.hint(fix);
            }
        } else {
            context.ui.detail(&text);
        }
    }
}

fn places<'a>(args: &SourceArgs, targets: &'a [Selected]) -> anyhow::Result<Vec<Place<'a>>> {
    let mut places = Vec::new();
    for selected in targets {
        let replicas: Vec<String> = selected
            .target
            .iter()
            .flat_map(|target| &target.replicas)
            .filter_map(|replica| replica.name.clone())
            .collect();
        let replica = |name: &String| Place {
            name: format!("{}/{name}", selected.name),
            selected,
            replica: Some(name.clone()),
        };
        let primary = Place {
            name: selected.name.clone(),
            selected,
            replica: None,
        };
        match args.node.as_deref() {
            None | Some("primary") => places.push(primary),
            Some("all") => {
                places.push(primary);
                places.extend(replicas.iter().map(replica));
            }
            Some(wanted) => match replicas.iter().find(|name| *name == wanted) {
                Some(name) => places.push(replica(name)),
                None => {
                    let known = ["primary".to_owned()].into_iter().chain(replicas);
                    return Err(Failure::usage(format!(
                        "target {} has no node `{wanted}`",
                        selected.name
                    ))
                    .hint(format!(
                        "its nodes: {}",
                        known.collect::<Vec<_>>().join(", ")
                    ))
                    .into());
                }
            },
        }
    }
    Ok(places)
}
