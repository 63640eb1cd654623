//! `partitions list`: what stands, table by table, managed or not: period, gaps, runway.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::bound::{BoundSpec, parse_bound, range_on};
use super::calendar::{self, Calendar};
use super::coverage::{Coverage, edge};
use super::inputs::{Inputs, bound_text};
use super::key::{Axis, Bound};
use super::period::Period;
use super::{locks, mark};
use crate::catalog::{
    Answers, DefaultQuestion, DefaultRows, Partition, PartitionedTable, Questions, Strategy,
};
use crate::ident::QualifiedName;
use crate::plan_file::{KeyEncoding, Origin, PartitionPolicy};

/// What stands: one entry a partitioned table, sorted by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableSurvey {
    /// The table.
    pub table: QualifiedName,
    /// The table it is itself a partition of.
    pub parent: Option<QualifiedName>,
    /// Where its policy stands; `None`: no policy, nobody maintains it through dbops.
    pub policy: Option<Origin>,
    /// Strategy.
    pub strategy: Strategy,
    /// Partition key as text: `created_at timestamp with time zone`.
    pub key: String,
    /// Period: the policy's, else the one that the bounds show.
    pub period: Option<Period>,
    /// Time zone in which the periods begin; `None` where the key has none or the bounds do not show it.
    pub time_zone: Option<String>,
    /// Partitions by lower bound, DEFAULT last.
    pub partitions: Vec<PartitionSurvey>,
    /// Estimated rows of the partitions that were analyzed; `None` where none was.
    pub rows_estimate: Option<i64>,
    /// Partitions that were never analyzed, whose rows `rows_estimate` leaves out.
    pub partitions_not_analyzed: usize,
    /// Bytes of all partitions; `None` where not measured.
    pub bytes: Option<i64>,
    /// Lowest bound.
    pub oldest: Option<String>,
    /// Highest bound.
    pub newest: Option<String>,
    /// Uncovered ranges between the lowest and the highest bound.
    pub gaps: Vec<RangeText>,
    /// Ranges that two partitions claim: possible only while one of them is pending detach.
    pub overlaps: Vec<RangeText>,
    /// Rows in DEFAULT; `None`: there is no DEFAULT.
    pub default_rows: Option<DefaultRows>,
    /// Partitions whose concurrent detach was interrupted.
    pub pending: Vec<QualifiedName>,
    /// Tables that dbops detached and that still exist.
    pub detached: Vec<DetachedSurvey>,
    /// Until when inserts find a partition; `None` where the key is not time.
    pub runway: Option<Runway>,
    /// Why the bounds could not be placed, where they could not.
    pub unreadable: Option<String>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionSurvey {
    /// The partition.
    pub name: QualifiedName,
    /// Lower bound; `None` for DEFAULT and for bounds that are no range.
    pub from: Option<String>,
    /// Upper bound.
    pub to: Option<String>,
    /// The server's own text of the bound.
    pub bound: String,
    /// Estimated rows; `None`: never analyzed.
    pub rows_estimate: Option<i64>,
    /// Bytes with indexes and TOAST; `None`: not measured.
    pub bytes: Option<i64>,
    /// Whether a concurrent detach was interrupted.
    pub detach_pending: bool,
}

/// A range as the server writes its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeText {
    /// Lower end, inclusive.
    pub from: String,
    /// Upper end, exclusive.
    pub to: String,
}

/// A table that dbops detached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetachedSurvey {
    /// The table.
    pub name: QualifiedName,
    /// When a prune may drop it.
    pub drop_after: DateTime<Utc>,
    /// Bytes, where measured.
    pub bytes: Option<i64>,
}

/// Until when inserts find a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runway {
    /// First key at or after now that no range partition takes; `None`: there is none.
    pub until: Option<String>,
    /// The same as an instant, where it is one.
    pub until_instant: Option<DateTime<Utc>>,
    /// Seconds from now; 0 when now itself is uncovered; `None` when nothing is uncovered.
    pub seconds: Option<i64>,
    /// Whether a DEFAULT partition takes such rows (they are not lost, but they block later partitions).
    pub falls_into_default: bool,
}

/// Returns the one question a survey has: how many rows sit in DEFAULT partitions.
pub fn questions(inputs: Inputs<'_>) -> Questions {
    let mut questions = Questions::default();
    for table in &inputs.catalog.tables {
        let (Some(default), Some(key)) = (locks::default_of(table), table.key.first()) else {
            continue;
        };
        let Some(column) = &key.column else { continue };
        questions.default_ranges.push(DefaultQuestion {
            table: table.name.clone(),
            default: default.name.clone(),
            column: column.clone(),
            type_name: key.type_name.clone(),
            from: None,
            to: None,
        });
    }
    questions
}

/// Describes every partitioned table of the catalog.
pub fn survey(inputs: Inputs<'_>, answers: &Answers) -> Vec<TableSurvey> {
    inputs
        .catalog
        .tables
        .iter()
        .map(|table| describe(table, inputs, answers))
        .collect()
}

fn describe(table: &PartitionedTable, inputs: Inputs<'_>, answers: &Answers) -> TableSurvey {
    let policy = inputs
        .policies
        .iter()
        .find(|policy| policy.table == table.name);
    let placed = if table.strategy == Strategy::Range {
        place(table, policy)
    } else {
        Err(None)
    };
    let (placed, unreadable) = match placed {
        Ok(placed) => (Some(placed), None),
        Err(why) => (None, why),
    };
    let period = policy
        .map(|policy| (policy.every, policy.time_zone))
        .or_else(|| {
            placed
                .as_ref()
                .and_then(|placed| placed.recognised(inputs.policies))
        });
    let time_zone = period
        .filter(|_| {
            !matches!(
                placed.as_ref().map(|placed| placed.axis),
                Some(Axis::Date | Axis::Timestamp) | None
            )
        })
        .map(|(_, zone)| zone.name().to_owned());
    let mut survey = TableSurvey {
        table: table.name.clone(),
        parent: table.parent.clone(),
        policy: policy.map(|policy| policy.origin.clone()),
        strategy: table.strategy,
        key: key_text(table),
        period: period.map(|(period, _)| period),
        time_zone,
        partitions: Vec::with_capacity(table.partitions.len()),
        rows_estimate: known(table).reduce(|sum, rows| sum + rows),
        partitions_not_analyzed: table.partitions.len() - known(table).count(),
        bytes: table
            .partitions
            .iter()
            .map(|partition| partition.bytes)
            .sum(),
        oldest: None,
        newest: None,
        gaps: Vec::new(),
        overlaps: Vec::new(),
        default_rows: default_rows(table, answers),
        pending: table
            .partitions
            .iter()
            .filter(|p| p.detach_pending)
            .map(|p| p.name.clone())
            .collect(),
        detached: detached(table, inputs),
        runway: None,
        unreadable,
    };
    match placed {
        Some(placed) => placed.fill(
            table,
            period.map_or(Tz::UTC, |(_, zone)| zone),
            inputs.now,
            &mut survey,
        ),
        None => {
            survey.partitions = table
                .partitions
                .iter()
                .map(|p| partition_survey(p, None))
                .collect()
        }
    }
    survey
}

fn known(table: &PartitionedTable) -> impl Iterator<Item = i64> {
    table
        .partitions
        .iter()
        .filter_map(|partition| partition.rows_estimate)
}

struct Placed<'a> {
    axis: Axis,
    ranges: Vec<(&'a Partition, Bound, Bound)>,
}

/// Puts the bounds on an axis; without a policy a bigint or uuid key is not assumed to hold time.
fn place<'a>(
    table: &'a PartitionedTable,
    policy: Option<&PartitionPolicy>,
) -> Result<Placed<'a>, Option<String>> {
    let Some(key) = table.key.first().filter(|key| key.column.is_some()) else {
        return Err(None);
    };
    let encoding: Option<KeyEncoding> = policy.and_then(|policy| policy.key);
    let axis = match Axis::for_column(&key.type_name, encoding) {
        Ok(axis) => axis,
        Err(why) => return Err(policy.map(|_| why)),
    };
    let mut ranges = Vec::with_capacity(table.partitions.len());
    for partition in &table.partitions {
        let spec = parse_bound(&partition.bound);
        if spec != BoundSpec::Default {
            let (from, to) =
                range_on(axis, &spec).map_err(|why| Some(format!("{}: {why}", partition.name)))?;
            ranges.push((partition, from, to));
        }
    }
    ranges.sort_by(|a, b| (a.1, a.2, &a.0.name).cmp(&(b.1, b.2, &b.0.name)));
    Ok(Placed { axis, ranges })
}

impl Placed<'_> {
    fn recognised(&self, policies: &[PartitionPolicy]) -> Option<(Period, Tz)> {
        let mut zones = vec![Tz::UTC];
        for policy in policies {
            if !zones.contains(&policy.time_zone) {
                zones.push(policy.time_zone);
            }
        }
        let finite: Vec<(i128, i128)> = self
            .ranges
            .iter()
            .map(|(_, from, to)| (edge(*from), edge(*to)))
            .filter(|(from, to)| self.axis.is_finite(*from) && self.axis.is_finite(*to))
            .collect();
        calendar::recognise(self.axis, &zones, &finite)
    }

    fn fill(
        &self,
        table: &PartitionedTable,
        zone: Tz,
        now: DateTime<Utc>,
        survey: &mut TableSurvey,
    ) {
        let axis = self.axis;
        let text = |(from, to): (i128, i128)| RangeText {
            from: edge_text(axis, from),
            to: edge_text(axis, to),
        };
        survey.partitions = self
            .ranges
            .iter()
            .map(|(partition, from, to)| {
                partition_survey(
                    partition,
                    Some((bound_text(axis, *from), bound_text(axis, *to))),
                )
            })
            .chain(locks::default_of(table).map(|default| partition_survey(default, None)))
            .collect();
        let all = Coverage::of(self.ranges.iter().map(|(_, from, to)| (*from, *to)));
        survey.gaps = all
            .ranges()
            .windows(2)
            .map(|pair| text((pair[0].1, pair[1].0)))
            .collect();
        survey.overlaps = self
            .ranges
            .windows(2)
            .filter(|pair| edge(pair[1].1) < edge(pair[0].2))
            .map(|pair| text((edge(pair[1].1), edge(pair[0].2).min(edge(pair[1].2)))))
            .collect();
        survey.oldest = all.ranges().first().map(|range| edge_text(axis, range.0));
        survey.newest = all.ranges().last().map(|range| edge_text(axis, range.1));
        // A partition that is pending detach takes no inserts.
        let live = Coverage::of(
            self.ranges
                .iter()
                .filter(|(partition, _, _)| !partition.detach_pending)
                .map(|(_, from, to)| (*from, *to)),
        );
        let calendar = Calendar {
            period: Period::Day,
            axis,
            zone,
        };
        survey.runway = Some(runway(&live, calendar, now, survey.default_rows.is_some()));
    }
}

fn runway(
    live: &Coverage,
    calendar: Calendar,
    now: DateTime<Utc>,
    falls_into_default: bool,
) -> Runway {
    let axis = calendar.axis;
    let until = live
        .first_uncovered(axis.of_instant(now, calendar.zone))
        .filter(|until| axis.is_finite(*until));
    // Read in UTC a key that is an instant gives that instant; a civil key is one only in a zone.
    let until_instant = until.and_then(|until| match axis {
        Axis::Date | Axis::Timestamp => {
            let micros = Axis::TimestampTz.of_civil(axis.civil(until, Tz::UTC)?, calendar.zone);
            DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)
        }
        _ => axis.civil(until, Tz::UTC).map(|civil| civil.and_utc()),
    });
    Runway {
        until: until.map(|until| axis.literal(until)),
        until_instant,
        seconds: until_instant.map(|until| (until - now).num_seconds().max(0)),
        falls_into_default,
    }
}

fn edge_text(axis: Axis, edge: i128) -> String {
    match edge {
        i128::MIN => "MINVALUE".to_owned(),
        i128::MAX => "MAXVALUE".to_owned(),
        value => axis.literal(value),
    }
}

fn partition_survey(partition: &Partition, range: Option<(String, String)>) -> PartitionSurvey {
    let (from, to) = range.unzip();
    PartitionSurvey {
        name: partition.name.clone(),
        from,
        to,
        bound: partition.bound.clone(),
        rows_estimate: partition.rows_estimate,
        bytes: partition.bytes,
        detach_pending: partition.detach_pending,
    }
}

fn key_text(table: &PartitionedTable) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|key| match (&key.column, &key.expression) {
            (Some(column), _) => format!(
                "{} {}",
                crate::ident::quote_if_needed(column),
                key.type_name
            ),
            (None, Some(expression)) => expression.clone(),
            (None, None) => "(unknown)".to_owned(),
        })
        .collect();
    parts.join(", ")
}

/// A DEFAULT partition that the answers do not mention was asked about and is empty.
fn default_rows(table: &PartitionedTable, answers: &Answers) -> Option<DefaultRows> {
    locks::default_of(table)?;
    let found = answers
        .default_rows
        .iter()
        .find(|rows| rows.table == table.name && rows.from.is_none());
    let askable = table.key.first().is_some_and(|key| key.column.is_some());
    Some(found.cloned().unwrap_or_else(|| DefaultRows {
        table: table.name.clone(),
        from: None,
        to: None,
        count: askable.then_some(0),
        min: None,
        max: None,
    }))
}

fn detached(table: &PartitionedTable, inputs: Inputs<'_>) -> Vec<DetachedSurvey> {
    inputs
        .catalog
        .detached
        .iter()
        .filter_map(|found| mark::read(&found.mark).map(|mark| (found, mark)))
        .filter(|(_, mark)| mark.parent == table.name)
        .map(|(found, mark)| DetachedSurvey {
            name: found.name.clone(),
            drop_after: mark.drop_after,
            bytes: found.bytes,
        })
        .collect()
}
