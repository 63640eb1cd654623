//! Properties of the partition planners over random catalogs: no server, thousands of cases.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use dbops::catalog::{
    Answers, Catalog, KeyColumn, Partition, PartitionKind, PartitionedTable, Properties, Rights,
    Server, Strategy as By,
};
use dbops::changes::calendar::Calendar;
use dbops::changes::changeset::{Action, Changeset};
use dbops::changes::coverage::{Coverage, edge};
use dbops::changes::inputs::{Draft, Heading, Inputs, basis_of};
use dbops::changes::key::{Axis, Bound};
use dbops::changes::period::Period;
use dbops::changes::{ensure, retention};
use dbops::ident::QualifiedName;
use dbops::plan_file::{
    CalendarSpan, Expire, KeyEncoding, LockBudget, Origin, PartitionPolicy, SpanUnit,
};
use proptest::prelude::*;

const TYPES: [(&str, Option<KeyEncoding>, Axis); 7] = [
    ("date", None, Axis::Date),
    ("timestamp without time zone", None, Axis::Timestamp),
    ("timestamp with time zone", None, Axis::TimestampTz),
    ("bigint", Some(KeyEncoding::EpochS), Axis::EpochS),
    ("bigint", Some(KeyEncoding::EpochMs), Axis::EpochMs),
    ("bigint", Some(KeyEncoding::EpochNs), Axis::EpochNs),
    ("uuid", Some(KeyEncoding::UuidV7), Axis::UuidV7),
];

const ZONES: [Tz; 5] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::Asia__Kolkata,
    Tz::Australia__Lord_Howe,
];

/// A table, its policy, and a moment.
#[derive(Debug, Clone)]
struct Case {
    calendar: Calendar,
    policy: PartitionPolicy,
    now: DateTime<Utc>,
    existing: Vec<(Bound, Bound)>,
}

impl Case {
    fn catalog(&self) -> Catalog {
        let (type_name, ..) = TYPES
            .iter()
            .find(|(.., axis)| *axis == self.calendar.axis)
            .copied()
            .unwrap();
        Catalog {
            server: server(),
            tables: vec![table(type_name, self.calendar.axis, &self.existing)],
            ..Catalog::default()
        }
    }

    fn inputs<'a>(&'a self, catalog: &'a Catalog) -> Inputs<'a> {
        Inputs {
            policies: std::slice::from_ref(&self.policy),
            budget: LockBudget::default(),
            catalog,
            now: self.now,
        }
    }

    fn changeset(&self, plan: impl Fn(Inputs<'_>) -> Draft) -> Changeset {
        let catalog = self.catalog();
        let inputs = self.inputs(&catalog);
        let heading = Heading {
            command: "test",
            target: "test",
            created_at: self.now,
            expires_at: self.now,
        };
        plan(inputs).into_changeset(&inputs.catalog.server, inputs.now, &heading, |table| {
            basis_of(inputs.catalog, table)
        })
    }

    fn ensure(&self) -> Changeset {
        self.changeset(|inputs| ensure::ensure(inputs, &Answers::default()))
    }

    fn prune(&self) -> Changeset {
        self.changeset(|inputs| retention::prune(inputs, &Answers::default()))
    }

    fn now_value(&self) -> i128 {
        self.calendar.axis.of_instant(self.now, self.calendar.zone)
    }

    fn cutoff(&self) -> Option<i128> {
        self.policy
            .retain
            .map(|retain| self.calendar.minus(self.now, retain))
    }
}

fn server() -> Server {
    Server {
        version_num: 150_018,
        version: "15.18".to_owned(),
        role: "app".to_owned(),
        deadlock_timeout_ms: 1_000,
        ..Server::default()
    }
}

fn table(type_name: &str, axis: Axis, existing: &[(Bound, Bound)]) -> PartitionedTable {
    let text = |bound: &Bound| match bound {
        Bound::Min => "MINVALUE".to_owned(),
        Bound::Max => "MAXVALUE".to_owned(),
        Bound::Value(value) => format!("'{}'", axis.literal(*value)),
    };
    let partitions = existing
        .iter()
        .enumerate()
        .map(|(at, (from, to))| Partition {
            oid: 1_000 + u32::try_from(at).unwrap(),
            name: QualifiedName::new("public", format!("old_{at}")),
            kind: PartitionKind::Table,
            bound: format!("FOR VALUES FROM ({}) TO ({})", text(from), text(to)),
            detach_pending: false,
            rows_estimate: None,
            bytes: None,
            comment: None,
        });
    PartitionedTable {
        oid: 1,
        name: QualifiedName::new("public", "events"),
        owner: "app".to_owned(),
        parent: None,
        strategy: By::Range,
        key: vec![KeyColumn {
            column: Some("at".to_owned()),
            expression: None,
            type_name: type_name.to_owned(),
        }],
        partitions: partitions.collect(),
        columns: Vec::new(),
        uniques: Vec::new(),
        foreign_keys_out: Vec::new(),
        foreign_keys_in: Vec::new(),
        properties: Properties::default(),
        rights: Rights {
            owns: true,
            creates_in: vec!["public".to_owned()],
        },
    }
}

fn policy(every: Period, encoding: Option<KeyEncoding>, zone: Tz, premake: u32) -> PartitionPolicy {
    PartitionPolicy {
        table: QualifiedName::new("public", "events"),
        every,
        premake,
        retain: None,
        expire: Expire::Detach,
        grace: CalendarSpan {
            count: 7,
            unit: SpanUnit::Day,
        },
        time_zone: zone,
        name: None,
        key: encoding,
        column: None,
        start: None,
        schema: None,
        tablespace: None,
        with: Default::default(),
        sub: None,
        allow: Vec::new(),
        lock_budget: None,
        origin: Origin::default(),
    }
}

/// Disjoint ranges around now, on and off the grid, some without an end.
fn existing(
    calendar: Calendar,
    now: DateTime<Utc>,
    shape: &[(u8, u8, u8)],
    open: (bool, bool),
) -> Vec<(Bound, Bound)> {
    let axis = calendar.axis;
    let Some(mut slot) = calendar.slot_at(axis.of_instant(now, calendar.zone)) else {
        return Vec::new();
    };
    for _ in 0..6 {
        slot = calendar.prev(&slot).unwrap_or(slot);
    }
    let mut ranges = Vec::new();
    for &(skip, length, odd) in shape {
        for _ in 0..skip {
            slot = calendar.next(&slot).unwrap();
        }
        let (mut from, mut to) = (slot.from, slot.to);
        for _ in 0..length {
            slot = calendar.next(&slot).unwrap();
            to = slot.to;
        }
        // Bounds inside a period: hand-made, or left by another tool.
        let third = (slot.to - slot.from) / 3;
        if odd & 1 == 1 {
            from += third.min(to - from - 1);
        }
        if odd & 2 == 2 && to - third > from {
            to -= third;
        }
        if from < to {
            ranges.push((Bound::Value(from), Bound::Value(to)));
        }
        slot = calendar.next(&slot).unwrap();
    }
    if let (true, Some(first)) = (open.0, ranges.first_mut()) {
        first.0 = Bound::Min;
    }
    if let (true, Some(last)) = (open.1, ranges.last_mut()) {
        last.1 = Bound::Max;
    }
    ranges
}

fn case() -> impl Strategy<Value = Case> {
    (
        (0..TYPES.len(), 0..6_usize, 0..ZONES.len(), 1..8_u32),
        0..30 * 366 * 24_i64,
        prop::collection::vec((0..3_u8, 0..3_u8, 0..4_u8), 0..7),
        (prop::bool::weighted(0.15), prop::bool::weighted(0.1)),
        prop::option::of(1..6_u32),
    )
        .prop_filter_map(
            "a pair that cannot be",
            |((kind, period, zone, premake), hours, shape, open, retain)| {
                let (_, encoding, axis) = TYPES[kind];
                let every = Period::ALL[period];
                let calendar = Calendar {
                    period: every,
                    axis,
                    zone: ZONES[zone],
                };
                calendar.check().ok()?;
                let start = Utc.with_ymd_and_hms(2005, 1, 1, 0, 0, 0).single()?;
                let now = start + TimeDelta::hours(hours) + TimeDelta::minutes(17);
                let mut policy = policy(every, encoding, ZONES[zone], premake);
                policy.retain = retain.map(|count| CalendarSpan {
                    count,
                    unit: unit(every),
                });
                Some(Case {
                    calendar,
                    policy,
                    now,
                    existing: existing(calendar, now, &shape, open),
                })
            },
        )
}

fn unit(period: Period) -> SpanUnit {
    match period {
        Period::Hour => SpanUnit::Hour,
        Period::Day => SpanUnit::Day,
        Period::Week => SpanUnit::Week,
        Period::Month => SpanUnit::Month,
        Period::Quarter => SpanUnit::Quarter,
        Period::Year => SpanUnit::Year,
    }
}

/// The new partitions' ranges, read back from the literals that would be sent.
fn created(case: &Case, changeset: &Changeset) -> Vec<(i128, i128)> {
    let axis = case.calendar.axis;
    changeset
        .steps
        .iter()
        .flat_map(|step| &step.partitions)
        .map(|new| (axis.parse(&new.from).unwrap(), axis.parse(&new.to).unwrap()))
        .collect()
}

/// The places in `existing` of the partitions that prune detaches.
fn detached(case: &Case) -> Vec<usize> {
    let names: Vec<QualifiedName> = case.catalog().tables[0]
        .partitions
        .iter()
        .map(|p| p.name.clone())
        .collect();
    let changeset = case.prune();
    let steps = changeset
        .steps
        .iter()
        .filter(|step| step.action == Action::DetachPartition);
    steps
        .flat_map(|step| &step.partitions)
        .filter_map(|gone| names.iter().position(|name| *name == gone.name))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn old_and_new_cover_the_window_exactly_once(case in case()) {
        let changeset = case.ensure();
        prop_assert!(changeset.refusals.is_empty(), "{:?}", changeset.refusals);
        let new = created(&case, &changeset);
        let old = Coverage::of(case.existing.iter().copied());
        // Exactly once: no new range meets an old one or another new one.
        for (at, &(from, to)) in new.iter().enumerate() {
            prop_assert!(from < to);
            prop_assert_eq!(old.missing((from, to)), vec![(from, to)], "new range meets an old one");
            for &(other_from, other_to) in &new[at + 1..] {
                prop_assert!(to <= other_from || other_to <= from, "two new ranges meet");
            }
        }
        // Covered: from now to the end of the premade periods nothing is missing.
        let mut last = case.calendar.slot_at(case.now_value()).unwrap();
        for _ in 0..case.policy.premake {
            last = case.calendar.next(&last).unwrap();
        }
        let all = Coverage::of(
            case.existing.iter().copied().chain(new.iter().map(|&(from, to)| (Bound::Value(from), Bound::Value(to)))),
        );
        prop_assert_eq!(all.missing((case.now_value(), last.to)), vec![]);
        // Nothing before the retention limit, nothing beyond the premade periods.
        for &(from, to) in &new {
            prop_assert!(to <= last.to);
            if let Some(cutoff) = case.cutoff() {
                prop_assert!(to > cutoff, "{from} to {to} has expired already");
            }
        }
        // Gaps between existing partitions inside the window are filled, back to the retention limit.
        if let Some(oldest) = case.existing.iter().map(|range| edge(range.0)).min() {
            let from = oldest.max(case.cutoff().and_then(|at| case.calendar.slot_at(at)).map_or(i128::MIN, |slot| slot.to));
            if from > i128::MIN && from < last.to {
                prop_assert_eq!(all.missing((from, last.to)), vec![]);
            }
        }
    }

    #[test]
    fn ensure_after_ensure_has_nothing_to_do(case in case()) {
        let new = created(&case, &case.ensure());
        let mut after = case.clone();
        after.existing.extend(new.into_iter().map(|(from, to)| (Bound::Value(from), Bound::Value(to))));
        prop_assert!(after.ensure().is_empty(), "{:?}", after.ensure().steps);
    }

    #[test]
    fn names_are_unique_and_fit(case in case()) {
        let changeset = case.ensure();
        let mut names: Vec<String> =
            changeset.steps.iter().flat_map(|step| &step.partitions).map(|new| new.name.name.clone()).collect();
        prop_assert!(names.iter().all(|name| name.len() <= 63));
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count);
    }

    #[test]
    fn prune_takes_only_what_lies_wholly_before_the_limit(case in case(), drop in any::<bool>()) {
        let mut case = case;
        case.policy.expire = if drop { Expire::Drop } else { Expire::Detach };
        let changeset = case.prune();
        let names: Vec<QualifiedName> = case.catalog().tables[0].partitions.iter().map(|p| p.name.clone()).collect();
        let mut gone = Vec::new();
        for step in &changeset.steps {
            let cutoff = case.cutoff();
            prop_assert!(cutoff.is_some(), "no retain, yet {}", step.summary);
            for partition in &step.partitions {
                let at = names.iter().position(|name| *name == partition.name).unwrap();
                let (_, to) = case.existing[at];
                prop_assert!(edge(to) <= cutoff.unwrap());
                prop_assert!(edge(to) <= case.now_value());
            }
            match step.action {
                Action::DetachPartition => gone.extend(step.partitions.iter().map(|partition| partition.name.clone())),
                Action::DropPartition => {
                    prop_assert!(drop && step.after == Some(step.id - 1));
                    prop_assert!(!step.hazards.is_empty());
                }
                other => prop_assert!(false, "prune planned {:?}", other),
            }
        }
        prop_assert!(case.existing.is_empty() || gone.len() < case.existing.len(), "nothing would be left");
        // Prune and ensure come to rest: the last partition goes once ensure has made its successor.
        let mut after = case.clone();
        for _ in 0..2 {
            let gone = detached(&after);
            let mut at = 0;
            after.existing.retain(|_| {
                at += 1;
                !gone.contains(&(at - 1))
            });
            let new = created(&after, &after.ensure());
            after.existing.extend(new.into_iter().map(|(from, to)| (Bound::Value(from), Bound::Value(to))));
        }
        prop_assert!(after.prune().is_empty() && after.ensure().is_empty(), "they would go on for ever");
    }
}

#[test]
fn a_name_that_two_policies_come_to_is_given_once() {
    let mut one = policy(Period::Month, None, Tz::UTC, 1);
    one.name = Some("part_{YYYY}_{MM}".to_owned());
    let mut other = one.clone();
    other.table = QualifiedName::new("public", "logs");
    let mut tables = vec![
        table("date", Axis::Date, &[]),
        table("date", Axis::Date, &[]),
    ];
    tables[1].name = other.table.clone();
    let catalog = Catalog {
        server: server(),
        tables,
        ..Catalog::default()
    };
    let now = Utc.with_ymd_and_hms(2026, 11, 22, 0, 0, 0).unwrap();
    let policies = [one, other];
    let inputs = Inputs {
        policies: &policies,
        budget: LockBudget::default(),
        catalog: &catalog,
        now,
    };
    let draft = ensure::ensure(inputs, &Answers::default());
    assert_eq!(
        draft
            .steps
            .iter()
            .map(|step| step.partitions.len())
            .sum::<usize>(),
        2
    );
    assert_eq!(draft.refusals.len(), 2);
    assert!(
        draft
            .refusals
            .iter()
            .all(|refusal| refusal.code == "name-taken" && refusal.table.name == "logs")
    );
}

#[test]
fn an_expired_foreign_partition_is_left_alone() {
    let month = |from: &str, to: &str| {
        (
            Bound::Value(Axis::Date.parse(from).unwrap()),
            Bound::Value(Axis::Date.parse(to).unwrap()),
        )
    };
    let existing = [
        month("2026-01-01", "2026-02-01"),
        month("2026-02-01", "2026-03-01"),
        month("2026-11-01", "2026-12-01"),
    ];
    let mut tables = vec![table("date", Axis::Date, &existing)];
    tables[0].partitions[0].kind = PartitionKind::Foreign;
    let catalog = Catalog {
        server: server(),
        tables,
        ..Catalog::default()
    };
    let mut policy = policy(Period::Month, None, Tz::UTC, 1);
    policy.retain = Some(CalendarSpan {
        count: 2,
        unit: SpanUnit::Month,
    });
    let now = Utc.with_ymd_and_hms(2026, 11, 22, 0, 0, 0).unwrap();
    let inputs = Inputs {
        policies: std::slice::from_ref(&policy),
        budget: LockBudget::default(),
        catalog: &catalog,
        now,
    };
    let draft = retention::prune(inputs, &Answers::default());
    assert_eq!(draft.steps.len(), 1);
    assert_eq!(draft.steps[0].partitions[0].name.name, "old_1");
    assert!(draft.notes.iter().any(|note| note.code == "foreign-table"));
}

#[test]
fn every_day_of_thirty_years_is_covered_ahead() {
    // One zone a period, all of each in turn over the days: the calendar's own tests take every pair.
    for (at, every) in [
        Period::Day,
        Period::Week,
        Period::Month,
        Period::Quarter,
        Period::Year,
    ]
    .into_iter()
    .enumerate()
    {
        for zone in [ZONES[at]] {
            let calendar = Calendar {
                period: every,
                axis: Axis::TimestampTz,
                zone,
            };
            let mut day = Utc.with_ymd_and_hms(2005, 1, 1, 12, 0, 0).unwrap();
            while day < Utc.with_ymd_and_hms(2035, 1, 1, 0, 0, 0).unwrap() {
                let case = Case {
                    calendar,
                    policy: policy(every, None, zone, 1),
                    now: day,
                    existing: Vec::new(),
                };
                let new = created(&case, &case.ensure());
                assert_eq!(new.len(), 2, "{every} {zone} {day}");
                assert!(
                    new[0].0 <= case.now_value() && case.now_value() < new[0].1,
                    "{every} {zone} {day}"
                );
                assert_eq!(new[0].1, new[1].0, "{every} {zone} {day}");
                day += TimeDelta::days(1);
            }
        }
    }
}
