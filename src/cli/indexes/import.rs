//! `dbops indexes import`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::catalog::TableScope;
use crate::catalog::index_model::IndexCatalog;
use crate::catalog::indexes::{self, IndexScope};
use crate::changes::indexes::import::{Import, Note, Wanted, from_catalog, from_script};
use crate::cli::context::{Context, Selected};
use crate::cli::new_file::{self, Existing};
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::{Exit, Failure};
use crate::ident::QualifiedName;
use crate::plan_file::{Source, Style, parse};
use crate::render::words::plural;

/// A file larger than this holds data; pg_dump --schema-only makes one that does not.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Turn a SQL file or a live database's indexes into a plan file
///
/// Reads CREATE INDEX and what belongs to it in hand-written files, pg_dump's plain output and Rails'
/// structure.sql. What cannot be read is reported with its place, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SQL file; `-` is standard input
    #[arg(value_name = "FILE.sql", required_unless_present = "from_database")]
    file: Option<PathBuf>,
    /// Read the indexes of a live database instead of a file
    #[arg(long, conflicts_with_all = ["file", "absent"])]
    from_database: bool,
    /// Only indexes of this table; may be given again
    #[arg(long, value_name = "TABLE", value_parser = QualifiedName::parse)]
    table: Vec<QualifiedName>,
    /// Indexes of PRIMARY KEY and UNIQUE constraints too
    #[arg(long)]
    constraints: bool,
    /// Indexes that the file drops as `absent`
    #[arg(long)]
    absent: bool,
    /// Write this file instead of printing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let existing = Existing::forced(args.force);
    if let Some(path) = &args.out {
        new_file::check(path, existing)?;
    }
    let wanted = Wanted {
        constraints: args.constraints,
        absent: args.absent,
    };
    let (mut import, from, places) = match &args.file {
        Some(file) => {
            let (text, name) = read_file(file)?;
            let import = from_script(&crate::syntax::script(&text), wanted);
            (import, name.clone(), Some((name, text)))
        }
        None => from_database(&args, wanted, context)?,
    };
    if !args.table.is_empty() {
        import.indexes.retain(|index| {
            index
                .plan
                .table
                .as_ref()
                .is_some_and(|table| args.table.contains(table))
        });
    }
    let text = crate::render::index_plan::yaml(&import, &from);
    let usable = check(&text, &import, args.out.as_deref(), context)?;
    match &args.out {
        None => context.ui.result(&text)?,
        Some(path) => new_file::write(path, &text, existing)?,
    }
    report(&import, places.as_ref(), context);
    if let Some(path) = args.out.as_ref().filter(|_| usable) {
        context.ui.hint(&format!(
            "{} written; go on with dbops indexes apply --dry-run --plan {}",
            plural_indexes(import.indexes.len()),
            path.display()
        ));
    }
    Ok(if import.faults.is_empty() && usable {
        Exit::Done
    } else {
        Exit::Findings
    })
}

/// Reads the indexes of one database; with tables, of these.
pub(crate) async fn read(
    context: &Context,
    selected: &Selected,
    tables: TableScope,
) -> anyhow::Result<IndexCatalog> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let scope = IndexScope {
        tables,
        names: Vec::new(),
    };
    let catalog = indexes::read(&tx, &scope).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(catalog)
}

type Imported = (Import, String, Option<(String, String)>);

fn from_database(args: &Args, wanted: Wanted, context: &Context) -> anyhow::Result<Imported> {
    let plan = context.plan_for_targets()?;
    let targets = context.targets(&plan)?;
    let [selected] = targets.as_slice() else {
        bail!(
            Failure::usage("indexes are imported from one database")
                .hint("choose a target with --target NAME")
        );
    };
    let scope = if args.table.is_empty() {
        TableScope::All
    } else {
        TableScope::Named(args.table.clone())
    };
    let catalog = context.block_on(read(context, selected, scope))?;
    for table in &args.table {
        if !catalog.tables.iter().any(|found| found.name == *table) {
            bail!(Failure::usage(format!("there is no table `{table}`")));
        }
    }
    let from = format!("database {}", catalog.server.database);
    Ok((from_catalog(&catalog, wanted), from, None))
}

/// Reads a SQL file; returns its text and its name.
fn read_file(path: &Path) -> anyhow::Result<(String, String)> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let (bytes, name) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        (bytes, "standard input".to_owned())
    } else {
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_FILE_BYTES {
            bail!(
                Failure::usage(format!("{} has {} MiB", path.display(), length >> 20))
                    .hint("import the output of pg_dump --schema-only")
            );
        }
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        (std::fs::read(path).map_err(failed)?, name)
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, name)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            bail!(
                Failure::usage(format!("{name}:{line}: this byte is not UTF-8"))
                    .hint("save the file in UTF-8; pg_dump does with --encoding=UTF8")
            )
        }
    }
}

/// Reads the plan file that was made, as a later command will; false where it has errors of its own.
fn check(
    text: &str,
    import: &Import,
    out: Option<&Path>,
    context: &Context,
) -> anyhow::Result<bool> {
    let source = Source {
        path: out.map_or_else(|| PathBuf::from("(output)"), Path::to_path_buf),
        text: text.to_owned(),
    };
    match parse(&[source]) {
        Ok(loaded) => {
            let specs = |entry: &crate::plan_file::IndexPlan| entry.spec().ok().flatten();
            let made = import.indexes.iter().map(|index| specs(&index.plan));
            let read = loaded
                .plan
                .indexes
                .iter()
                .filter(|entry| entry.absent.is_empty())
                .map(specs);
            if !made.eq(read) {
                bail!("the plan file made does not read back as what was imported");
            }
            // A warning of a file that was not written would point nowhere.
            if out.is_some() {
                super::lint::run(&loaded, context);
            }
            Ok(true)
        }
        Err(problems) => {
            let style = if context.ui.color {
                Style::Colour
            } else {
                Style::Plain
            };
            context.ui.raw(&problems.render(style));
            Ok(false)
        }
    }
}

fn report(import: &Import, places: Option<&(String, String)>, context: &Context) {
    let placed = |note: &Note| match (note.start, places) {
        (Some(start), Some((name, text))) => {
            let (line, column) = line_and_column(text, start);
            format!("{name}:{line}:{column}: {}", note.message)
        }
        _ => note.message.clone(),
    };
    for note in &import.notes {
        context.ui.warning(&placed(note));
    }
    for fault in &import.faults {
        context.ui.error(&placed(fault));
    }
    if !import.faults.is_empty() {
        context.ui.error(&format!(
            "{} could not be read; the plan file lacks what {} says",
            plural(import.faults.len(), "place"),
            if import.faults.len() == 1 {
                "it"
            } else {
                "each"
            },
        ));
    }
}

fn plural_indexes(count: usize) -> String {
    if count == 1 {
        "1 index".to_owned()
    } else {
        format!("{count} indexes")
    }
}

/// Line and column in characters, from 1.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}
