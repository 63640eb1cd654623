//! `init`: the policies that the partitions of a database show, for a first plan file.
//!
//! Only what the bounds prove is declared; whatever is open comes with the reason, for a person.

mod template;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::bound::{BoundSpec, parse_bound, range_on};
use super::calendar::{Calendar, recognise};
use super::coverage::{Coverage, edge};
use super::key::{Axis, Bound};
use super::period::Period;
use crate::catalog::{Catalog, Partition, PartitionKind, PartitionedTable, Strategy};
use crate::ident::QualifiedName;
use crate::plan_file::{KeyEncoding, SubPartitions};

/// Periods kept ready where fewer exist.
const LEAST_PREMAKE: usize = 3;
/// More than this many missing past periods are left alone rather than created.
const MOST_PAST: usize = 100;
/// Zones named first where many share a clock: those that a person is likeliest to know.
const KNOWN_ZONES: [Tz; 12] = [
    Tz::Europe__London,
    Tz::Europe__Berlin,
    Tz::Europe__Moscow,
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::America__Denver,
    Tz::America__Los_Angeles,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kolkata,
    Tz::Asia__Shanghai,
    Tz::Asia__Tokyo,
    Tz::Australia__Sydney,
];
/// Numbers outside these years are taken for something else than time.
const YEARS: std::ops::Range<i32> = 1990..2100;

/// What a first plan file says about a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Starter {
    /// Range-partitioned tables that are no partition themselves, sorted by name.
    pub tables: Vec<StarterTable>,
    /// Other partitioned tables, with the reason why they are left out.
    pub left_out: Vec<(QualifiedName, String)>,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct StarterTable {
    /// The table.
    pub table: QualifiedName,
    /// Why a person must decide; `None`: the policy is proved by what exists.
    pub open: Option<String>,
    /// The policy, as far as it is known.
    pub policy: Option<StarterPolicy>,
}

/// A policy and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct StarterPolicy {
    /// Length of a partition.
    pub every: Period,
    /// Time zone in which periods begin.
    pub time_zone: Tz,
    /// Another zone, the server's, that is as possible as `time_zone`.
    pub other_zone: Option<Tz>,
    /// How a bigint or uuid key holds time.
    pub key: Option<KeyEncoding>,
    /// Periods to keep ready.
    pub premake: usize,
    /// Partitions after the current period that exist.
    pub ready: usize,
    /// Name template, where it is not the default one.
    pub name: Option<String>,
    /// Whether existing names follow the template, be it the default one.
    pub named: bool,
    /// Schema of the partitions, where it is not the table's.
    pub schema: Option<String>,
    /// How the newest partition is partitioned again.
    pub sub: Option<SubPartitions>,
    /// First instant to be covered, where older periods are missing.
    pub start: Option<NaiveDateTime>,
    /// Missing periods before the current one, counted up to 101.
    pub past: usize,
    /// Whether `start` is needed because too many of them are missing.
    pub past_is_long: bool,
    /// Bounded partitions, and how many of them are not one whole period.
    pub partitions: (usize, usize),
}

/// Describes every partitioned table of a catalog as a policy.
pub fn starter(catalog: &Catalog, now: DateTime<Utc>) -> Starter {
    let mut starter = Starter {
        tables: Vec::new(),
        left_out: Vec::new(),
    };
    for table in &catalog.tables {
        match (table.strategy, &table.parent) {
            (Strategy::Range, None) => starter.tables.push(describe(table, catalog, now)),
            (Strategy::Range, Some(parent)) if !below_range(catalog, parent) => {
                let why = format!("partitioned by range, but itself a partition of {parent}");
                starter.left_out.push((table.name.clone(), why));
            }
            (strategy, None) => {
                let by = match strategy {
                    Strategy::List => "list",
                    Strategy::Hash => "hash",
                    _ => "something that this dbops does not know",
                };
                let why = format!("partitioned by {by}, which has no periods");
                starter.left_out.push((table.name.clone(), why));
            }
            _ => {}
        }
    }
    starter
}

/// Whether a table is in the file already, so that what is below it needs no word.
fn below_range(catalog: &Catalog, parent: &QualifiedName) -> bool {
    let parent = catalog.tables.iter().find(|table| table.name == *parent);
    parent.is_some_and(|parent| parent.strategy == Strategy::Range)
}

fn describe(table: &PartitionedTable, catalog: &Catalog, now: DateTime<Utc>) -> StarterTable {
    let (policy, open) = match cut(table, server_zone(catalog)) {
        Err(why) => (None, Some(why)),
        Ok(cut) => {
            let (policy, sub_open) = cut.policy(table, catalog, now);
            (Some(policy), cut.open.or(sub_open))
        }
    };
    StarterTable {
        table: table.name.clone(),
        open,
        policy,
    }
}

/// The role's time zone, where it is not UTC under some name.
fn server_zone(catalog: &Catalog) -> Option<Tz> {
    let zone: Tz = catalog.server.time_zone.parse().ok()?;
    let plain = zone.name().trim_start_matches("Etc/");
    let utc = [
        "UTC",
        "UCT",
        "GMT",
        "GMT0",
        "GMT+0",
        "GMT-0",
        "Greenwich",
        "Universal",
        "Zulu",
    ];
    (!utc.contains(&plain)).then_some(zone)
}

/// How a table is cut.
struct Cut<'a> {
    calendar: Calendar,
    key: Option<KeyEncoding>,
    other_zone: Option<Tz>,
    ranges: Vec<Ranged<'a>>,
    open: Option<String>,
}

#[derive(Clone, Copy)]
struct Ranged<'a> {
    partition: &'a Partition,
    from: Bound,
    to: Bound,
}

impl Ranged<'_> {
    fn edges(&self) -> (i128, i128) {
        (edge(self.from), edge(self.to))
    }
}

fn cut(table: &PartitionedTable, server: Option<Tz>) -> Result<Cut<'_>, String> {
    let key = table.key.first().ok_or("its key cannot be read")?;
    let Some(column) = &key.column else {
        return Err(format!(
            "its key is the expression {}; dbops manages plain columns",
            key.expression.as_deref().unwrap_or("(unknown)")
        ));
    };
    match Axis::for_column(&key.type_name, None) {
        Ok(axis) => cut_on(table, axis, server),
        // `for_column` refuses a number or uuid for want of an encoding, and all else for good.
        Err(why) => {
            let encodings: &[KeyEncoding] = match key.type_name.as_str() {
                "bigint" => &[
                    KeyEncoding::EpochS,
                    KeyEncoding::EpochMs,
                    KeyEncoding::EpochUs,
                    KeyEncoding::EpochNs,
                ],
                "integer" => &[KeyEncoding::EpochS],
                "uuid" => &[KeyEncoding::UuidV7],
                _ => return Err(format!("{column}: {why}")),
            };
            encoded(table, column, encodings, server)
        }
    }
}

/// Finds the one encoding under which every bound is the edge of a period of our time.
fn encoded<'a>(
    table: &'a PartitionedTable,
    column: &str,
    encodings: &[KeyEncoding],
    server: Option<Tz>,
) -> Result<Cut<'a>, String> {
    let kind = &table.key.first().map_or("", |key| key.type_name.as_str());
    let mut found = encodings.iter().filter_map(|&encoding| {
        let axis = Axis::for_column(kind, Some(encoding)).ok()?;
        let cut = cut_on(table, axis, server).ok()?;
        let proved = cut.finite().iter().all(|&(from, to)| {
            let ours = |value| {
                let civil = axis.civil(value, Tz::UTC);
                civil.is_some_and(|civil| YEARS.contains(&chrono::Datelike::year(&civil)))
            };
            ours(from) && ours(to) && cut.calendar.fits((from, to))
        });
        (proved && cut.open.is_none()).then_some(Cut {
            key: Some(encoding),
            ..cut
        })
    });
    match (found.next(), found.next()) {
        (Some(cut), None) => Ok(cut),
        _ if table.partitions.is_empty() => Err(format!(
            "it has no partition yet that shows how {column} {kind} holds time"
        )),
        _ => Err(match *kind {
            "uuid" => format!(
                "the bounds of {column} uuid are not the first version 7 uuids of whole periods"
            ),
            _ => format!(
                "the bounds of {column} {kind} are no whole periods counted since 1970; \
                 it may be a plain number"
            ),
        }),
    }
}

/// Finds period and zone on an axis.
fn cut_on(table: &PartitionedTable, axis: Axis, server: Option<Tz>) -> Result<Cut<'_>, String> {
    let mut ranges = Vec::with_capacity(table.partitions.len());
    for partition in &table.partitions {
        let spec = parse_bound(&partition.bound);
        if spec != BoundSpec::Default {
            let (from, to) = range_on(axis, &spec)
                .map_err(|why| format!("the bound of {}: {why}", partition.name))?;
            ranges.push(Ranged {
                partition,
                from,
                to,
            });
        }
    }
    ranges
        .sort_by(|a, b| (a.from, a.to, &a.partition.name).cmp(&(b.from, b.to, &b.partition.name)));
    let mut cut = Cut {
        calendar: Calendar {
            period: Period::Month,
            axis,
            zone: Tz::UTC,
        },
        key: None,
        other_zone: None,
        ranges,
        open: None,
    };
    let finite = cut.finite();
    if finite.is_empty() {
        return Err("it has no partition with two bounds that would show a period".to_owned());
    }
    let zones: Vec<Tz> = server.into_iter().collect();
    let all_fit = |calendar: &Calendar| finite.iter().all(|&range| calendar.fits(range));
    let found =
        recognise(axis, &zones, &finite).map(|(period, zone)| Calendar { period, axis, zone });
    if let Some(calendar) = found {
        cut.calendar = calendar;
        let theirs = server.map(|zone| Calendar { zone, ..calendar });
        cut.other_zone = theirs
            .filter(|theirs| calendar.zone == Tz::UTC && (axis.is_civil() || all_fit(theirs)))
            .map(|theirs| theirs.zone);
    }
    if found.is_some_and(|calendar| all_fit(&calendar)) {
        return Ok(cut);
    }
    // A zone that neither UTC nor the server's is: many cities share its clock, a person must choose.
    if axis == Axis::TimestampTz {
        let mut elsewhere = KNOWN_ZONES
            .iter()
            .chain(&TZ_VARIANTS)
            .flat_map(|&zone| Period::ALL.map(|period| Calendar { period, axis, zone }));
        if let Some(calendar) = elsewhere.find(all_fit) {
            let zones = TZ_VARIANTS
                .iter()
                .filter(|&&zone| all_fit(&Calendar { zone, ..calendar }))
                .count();
            cut.calendar = calendar;
            cut.other_zone = None;
            cut.open = Some(format!(
                "each partition is one {} in {} and in {} other time zones, but not in UTC; write \
                 the zone that was meant",
                calendar.period,
                calendar.zone,
                zones.saturating_sub(1)
            ));
            return Ok(cut);
        }
    }
    if found.is_some() {
        return Ok(cut);
    }
    let (partition, bound) = cut
        .ranges
        .iter()
        .find(|range| axis.is_finite(range.edges().0) && axis.is_finite(range.edges().1))
        .map_or((String::new(), ""), |range| {
            (
                range.partition.name.to_string(),
                range.partition.bound.as_str(),
            )
        });
    Err(format!(
        "most of its {} bounded partitions are not one hour, day, week, month, quarter or year \
         each; the first is {partition} {bound}",
        finite.len()
    ))
}

impl Cut<'_> {
    /// Ranges with two finite ends.
    fn finite(&self) -> Vec<(i128, i128)> {
        let axis = self.calendar.axis;
        self.ranges
            .iter()
            .map(Ranged::edges)
            .filter(|(from, to)| axis.is_finite(*from) && axis.is_finite(*to))
            .collect()
    }

    /// Makes the policy, and says what of it is open.
    fn policy(
        &self,
        table: &PartitionedTable,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> (StarterPolicy, Option<String>) {
        let calendar = self.calendar;
        let whole: Vec<&Ranged<'_>> = self
            .ranges
            .iter()
            .filter(|range| calendar.fits(range.edges()))
            .collect();
        let named: Vec<(&str, NaiveDateTime)> = whole
            .iter()
            .filter_map(|range| {
                let slot = calendar.slot_at(edge(range.from))?;
                Some((range.partition.name.name.as_str(), slot.civil))
            })
            .collect();
        let recognised = template::recognise(&table.name.name, calendar.period, &named);
        let default = super::names::default_template(calendar.period);
        let (sub, open) = match sub_partitions(&whole, catalog) {
            Ok(sub) => (sub, None),
            Err(why) => (None, Some(why)),
        };
        let current = calendar.slot_at(calendar.axis.of_instant(now, calendar.zone));
        let ready = current.map_or(0, |current| {
            whole
                .iter()
                .filter(|range| !range.partition.detach_pending && edge(range.from) >= current.to)
                .count()
        });
        let (past, start) = self.past(current.map(|current| (current.from, current.civil)));
        let schema = newest(&whole)
            .map(|newest| newest.name.schema.clone())
            .filter(|schema| *schema != table.name.schema);
        let policy = StarterPolicy {
            every: calendar.period,
            time_zone: calendar.zone,
            other_zone: self.other_zone,
            key: self.key,
            premake: ready.clamp(LEAST_PREMAKE, 10_000),
            ready,
            named: recognised.template.is_some(),
            name: recognised.template.filter(|template| template != default),
            schema,
            sub,
            start,
            past,
            past_is_long: past > MOST_PAST,
            partitions: (
                self.finite().len(),
                self.finite().len().saturating_sub(whole.len()),
            ),
        };
        (policy, open)
    }

    /// Counts the missing periods between the oldest partition and the current period, and returns
    /// the end of the last gap in civil time.
    fn past(&self, current: Option<(i128, NaiveDateTime)>) -> (usize, Option<NaiveDateTime>) {
        let calendar = self.calendar;
        let oldest = self
            .ranges
            .iter()
            .flat_map(|range| [edge(range.from), edge(range.to)])
            .filter(|value| calendar.axis.is_finite(*value))
            .min();
        let (Some((current, civil)), Some(oldest)) = (current, oldest) else {
            return (0, None);
        };
        let covered = Coverage::of(self.ranges.iter().map(|range| (range.from, range.to)));
        let gaps = covered.missing((oldest, current));
        let missing = gaps
            .iter()
            .flat_map(|&(from, to)| calendar.slots(from, to))
            .take(MOST_PAST + 1)
            .count();
        let start = gaps.last().and_then(|&(_, end)| {
            if end == current {
                Some(civil)
            } else {
                calendar.axis.civil(end, calendar.zone)
            }
        });
        (missing, start)
    }
}

fn newest<'a>(whole: &[&Ranged<'a>]) -> Option<&'a Partition> {
    whole.last().map(|range| range.partition)
}

/// Reads how the newest partition is partitioned again: new ones should be alike.
fn sub_partitions(
    whole: &[&Ranged<'_>],
    catalog: &Catalog,
) -> Result<Option<SubPartitions>, String> {
    let Some(newest) = newest(whole).filter(|newest| newest.kind == PartitionKind::Partitioned)
    else {
        return Ok(None);
    };
    let table = catalog
        .tables
        .iter()
        .find(|table| table.name == newest.name);
    let unknown = || {
        format!(
            "its newest partition {} is partitioned again; say how with `sub`, or new ones will be \
             plain tables",
            newest.name
        )
    };
    let table = table
        .filter(|table| table.strategy == Strategy::Hash)
        .ok_or_else(unknown)?;
    let columns: Option<Vec<String>> = table.key.iter().map(|key| key.column.clone()).collect();
    let modulus = u32::try_from(table.partitions.len()).unwrap_or(u32::MAX);
    let prefix = format!("FOR VALUES WITH (modulus {modulus}, remainder ");
    let even = table
        .partitions
        .iter()
        .all(|leaf| leaf.kind == PartitionKind::Table && leaf.bound.starts_with(&prefix));
    match columns {
        Some(columns) if even && (2..=1024).contains(&modulus) => {
            Ok(Some(SubPartitions::Hash { columns, modulus }))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests;
