//! What `queries top` and `queries slow` share: which statements, over which time, in which form.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::source::{SourceArgs, on_each, readings, take, tell};
use crate::checks::queries::histogram::Histograms;
use crate::checks::queries::report::{self, Overview, Report};
use crate::cli::context::Context;
use crate::failure::{Exit, Failure};
use crate::plan_file::Millis;
use crate::render::queries::{Texts, html, json, markdown};
use crate::sample::statements::delta::difference;
use crate::sample::statements::read::Texts as ReadTexts;

/// Which statements, over which time.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Chosen {
    /// Show statements of this database alone; shares stay those of the server
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Show statements of this role alone; shares stay those of the server
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Read twice, this long apart, and show only what happened between: 30s, 5min
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    over: Option<Millis>,
    /// Take the 95th percentile from histograms of execution times that something else counted: a file of format
    /// dbops.histograms/1
    #[arg(long, value_name = "FILE")]
    histograms: Option<PathBuf>,
}

/// In which form.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Showing {
    /// Show whole texts
    #[arg(long)]
    full: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// A form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Text for people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// Markdown, for tickets
    Markdown,
    /// One HTML page with charts
    Html,
}

impl Chosen {
    /// Reads the file of histograms, if one is given.
    fn histograms(&self) -> anyhow::Result<Histograms> {
        let Some(path) = &self.histograms else {
            return Ok(Histograms::default());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        let parsed = Histograms::parse(&text);
        Ok(parsed.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?)
    }

    /// Whether a statement is among the chosen.
    pub(super) fn takes(&self, overview: &Overview, at: usize) -> bool {
        overview.statements.get(at).is_some_and(|one| {
            self.database
                .as_ref()
                .is_none_or(|name| *name == one.database)
                && self.role.as_ref().is_none_or(|name| *name == one.role)
        })
    }
}

/// Reads each node or file and makes its report.
///
/// # Errors
/// Usage, connection, why the extension cannot be read, or what `each` returns.
pub(super) fn reports_of(
    source: &SourceArgs,
    chosen: &Chosen,
    context: &Context,
    each: impl Fn(&str, &Overview) -> anyhow::Result<Report>,
) -> anyhow::Result<Vec<Report>> {
    let histograms = chosen.histograms()?;
    let give = |name: &str, mut overview: Overview| {
        let lost = histograms.give(&mut overview);
        if lost > 0 {
            context.ui.warning(&format!(
                "target {name}: {lost} of the histograms are of no statement that was read"
            ));
        }
        overview
    };
    let Some(over) = chosen.over else {
        let mut reports = Vec::new();
        for sampled in readings(source, context)? {
            let Some(last) = sampled.readings.last() else {
                continue;
            };
            tell(context, &sampled.name, &last.notes());
            reports.push(each(
                &sampled.name,
                &give(&sampled.name, report::life(last)),
            )?);
        }
        return Ok(reports);
    };
    let plan = context.plan_for_targets()?;
    on_each(source, context, &plan, async |place, mut session| {
        let before = take(&mut session, &source.options(ReadTexts::None)).await?;
        tokio::time::sleep(Duration::from_millis(over.0)).await;
        let after = take(&mut session, &source.options(ReadTexts::All)).await?;
        tell(context, &place.name, &after.notes());
        let difference = difference(&before, &after);
        if !difference.is_usable() {
            let words: Vec<String> = difference.doubts.iter().map(|one| one.words()).collect();
            return Err(Failure::new(
                Exit::Unknown,
                format!("the two readings cannot be compared: {}", words.join("; ")),
            )
            .into());
        }
        let overview = report::window(&before, &after, &difference);
        each(&place.name, &give(&place.name, overview))
    })
}

/// Renders reports.
pub(super) fn show(
    showing: &Showing,
    reports: &[Report],
    exit: Exit,
    table: fn(&Report, Texts) -> String,
) -> String {
    let texts = if showing.full {
        Texts::Full
    } else {
        Texts::Elided
    };
    let joined = |one: &dyn Fn(&Report) -> String| -> String {
        let all: Vec<String> = reports.iter().map(one).collect();
        all.join("\n")
    };
    match showing.output {
        Form::Table => joined(&|one| table(one, texts)),
        Form::Markdown => joined(&|one| markdown::report(one, texts)),
        Form::Html => html::page(reports),
        Form::Json => json::reports(reports, exit),
    }
}
