//! `dbops queries compare`.

use anyhow::bail;

use super::showing::Form;
use super::sides::{Asked, choose};
use super::source::SourceArgs;
use crate::checks::queries::compare::{
    Change, Comparison, Identity, Limits, One, Side, compare, different_settings,
};
use crate::checks::queries::report::{self, Overview};
use crate::cli::context::Context;
use crate::failure::{Exit, Failure};
use crate::render::queries::Texts;
use crate::render::queries::compared::{self, Compared};
use crate::render::queries::compared_html;
use crate::sample::statements::delta::difference;
use crate::sample::statements::model::Snapshot;

/// Compare two readings: new, gone, slower, faster, more calls
///
/// Two readings of one server compare what happened between them with the time before the first. Readings of two
/// servers compare life with life. Statements are the same by fingerprint, database and role.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    source: SourceArgs,
    /// How many changes to show; 0: all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show whole texts
    #[arg(long)]
    full: bool,
    /// Exit with 1 where statements became slower by at least this: regression:20%
    #[arg(long, value_name = "regression:SHARE", value_parser = regression)]
    fail_on: Option<f64>,
    /// Compare even where the two sides counted different things
    #[arg(long)]
    force: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let (before, after) = choose(&args.asked, &args.source, context)?;
    let (first, second, basis) = sides(&before.snapshot, &after.snapshot)?;
    let different = different_settings(&first, &second);
    if let (Some((name, a, b)), false) = (different.first(), args.force) {
        bail!(
            Failure::refused(format!(
                "the two sides counted different things: {name} is `{a}` before and `{b}` after"
            ))
            .hint("compare them all the same with --force")
        );
    }
    let mut limits = Limits::default();
    if let Some(ratio) = args.fail_on {
        limits.ratio = ratio;
    }
    let comparison = compare(&first, &second, &limits);
    let exit = if args.fail_on.is_some() && is_worse(&comparison) {
        Exit::Findings
    } else {
        Exit::Done
    };
    let compared = Compared {
        before: &before.name,
        after: &after.name,
        basis: &basis,
        seconds: (first.seconds, second.seconds),
        comparison: &comparison,
    };
    let texts = if args.full {
        Texts::Full
    } else {
        Texts::Elided
    };
    let most = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let out = match args.output {
        Form::Json => compared::json(&compared, exit),
        Form::Table => compared::table(&compared, most, texts),
        Form::Markdown => compared::markdown(&compared, most, texts),
        Form::Html => compared_html::page(&compared, most, exit),
    };
    context.ui.result(&out)?;
    Ok(exit)
}

fn is_worse(comparison: &Comparison) -> bool {
    let mut all = comparison.changed.iter();
    all.any(|one| one.changes.contains(&Change::Slower))
}

/// Makes the two sides: of one server the time before the first reading and the time between, of two servers all
/// that each counted.
pub(super) fn sides(before: &Snapshot, after: &Snapshot) -> anyhow::Result<(Side, Side, String)> {
    let (then, now) = (&before.origin, &after.origin);
    let same = match (&then.system_identifier, &now.system_identifier) {
        (Some(a), Some(b)) => Some(a == b && then.version_num / 10_000 == now.version_num / 10_000),
        _ => None,
    };
    let mut why = match same {
        Some(true) => "one server, the second reading not taken later".to_owned(),
        Some(false) => "two servers".to_owned(),
        None => {
            "it cannot be told whether of one server, whose identifier the reading role may not see"
                .to_owned()
        }
    };
    if same == Some(true) && now.taken_at > then.taken_at {
        let between = difference(before, after);
        let doubts: Vec<String> = between.doubts.iter().map(|one| one.words()).collect();
        if between.is_usable() {
            let mut second = side(&report::window(before, after, &between), after);
            // What the window does not hold may still be there, only not called.
            second.present = after
                .entries
                .iter()
                .filter_map(|entry| entry.key.queryid)
                .collect();
            let first = side(&report::life(before), before);
            let basis = [
                "one server: the time between the two readings against the time before the first"
                    .to_owned(),
            ];
            return Ok((first, second, [&basis[..], &doubts].concat().join("; ")));
        }
        why = doubts.join("; ");
    }
    Ok((
        side(&report::life(before), before),
        side(&report::life(after), after),
        format!("{why}: each life against the other"),
    ))
}

fn side(overview: &Overview, snapshot: &Snapshot) -> Side {
    let header = &overview.header;
    Side {
        statements: overview
            .statements
            .iter()
            .zip(&overview.figures)
            .map(|(statement, figures)| One {
                identity: Identity {
                    fingerprint: match (&statement.fingerprint, statement.queryids.first()) {
                        (Some(print), _) => print.to_string(),
                        (None, Some(id)) => format!("queryid {id}"),
                        (None, None) => String::new(),
                    },
                    database: statement.database.clone(),
                    role: statement.role.clone(),
                    nested: statement.toplevel == Some(false),
                },
                queryids: statement.queryids.clone(),
                text: statement.text.clone(),
                figures: figures.clone(),
            })
            .collect(),
        seconds: header
            .from
            .map(|from| header.until - from)
            .filter(|seconds| *seconds > 0.0),
        settings: snapshot.origin.settings.clone(),
        evictions: header.evictions.map(|count| count > 0),
        present: Default::default(),
    }
}

/// Reads `regression:20%` as the ratio 1.2.
fn regression(text: &str) -> Result<f64, String> {
    text.strip_prefix("regression:")
        .and_then(|rest| rest.strip_suffix('%'))
        .and_then(|number| number.trim().parse::<f64>().ok())
        .filter(|percent| *percent > 0.0 && percent.is_finite())
        .map(|percent| 1.0 + percent / 100.0)
        .ok_or_else(|| "write by how much slower: regression:20%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_server_the_order_decides_what_is_compared() {
        let taken = |at: f64| {
            let mut snapshot = Snapshot::default();
            snapshot.origin.system_identifier = Some("7".to_owned());
            snapshot.origin.version_num = 150_000;
            snapshot.origin.taken_at = at;
            snapshot
        };
        let basis = |a: f64, b: f64| sides(&taken(a), &taken(b)).map(|sides| sides.2).unwrap();
        assert!(basis(10.0, 20.0).contains("between the two readings against"));
        assert!(basis(20.0, 10.0).contains("not taken later"));
    }

    #[test]
    fn the_basis_says_what_is_known() {
        let taken = |at: f64| {
            let mut snapshot = Snapshot::default();
            snapshot.origin.system_identifier = Some("7".to_owned());
            snapshot.origin.version_num = 150_000;
            snapshot.origin.taken_at = at;
            snapshot
        };
        let basis = |after: &Snapshot| sides(&taken(10.0), after).map(|sides| sides.2).unwrap();
        let mut replica = taken(20.0);
        replica.origin.in_recovery = true;
        replica.origin.started_at = 5.0;
        replica.origin.address = Some("10.0.0.2:5432".to_owned());
        assert!(
            basis(&replica).starts_with("the readings are of different nodes"),
            "{}",
            basis(&replica)
        );
        let mut hidden = taken(20.0);
        hidden.origin.system_identifier = None;
        assert!(
            basis(&hidden).starts_with("it cannot be told"),
            "{}",
            basis(&hidden)
        );
    }

    #[test]
    fn after_a_reset_the_time_between_begins_there() {
        let taken = |at: f64, reset: f64| {
            let mut snapshot = Snapshot::default();
            snapshot.origin.system_identifier = Some("7".to_owned());
            snapshot.origin.version_num = 150_000;
            snapshot.origin.extension = "1.10".to_owned();
            snapshot.origin.taken_at = at;
            snapshot.origin.stats_reset = Some(reset);
            snapshot.origin.dealloc = Some(0);
            snapshot
        };
        let (_, second, basis) = sides(&taken(1_000.0, 0.5), &taken(37_000.0, 36_400.0)).unwrap();
        assert_eq!(second.seconds, Some(600.0));
        assert!(basis.contains("reset in between"), "{basis}");
        let (_, second, _) = sides(&taken(1_000.0, 0.5), &taken(37_000.0, 0.5)).unwrap();
        assert_eq!(second.seconds, Some(36_000.0));
    }

    #[test]
    fn regressions_are_given_in_per_cent() {
        assert_eq!(regression("regression:20%"), Ok(1.2));
        for text in [
            "regression",
            "regression:20",
            "20%",
            "regression:-5%",
            "regression:x%",
        ] {
            assert!(regression(text).is_err(), "{text}");
        }
    }
}
