use super::*;
use crate::catalog::{KeyColumn, Properties, Rights, Server};

fn now() -> DateTime<Utc> {
    "2026-03-15T12:00:00Z".parse().unwrap()
}

fn partition(name: &str, bound: &str) -> Partition {
    Partition {
        oid: 0,
        name: QualifiedName::new("public", name),
        kind: PartitionKind::Table,
        bound: bound.to_owned(),
        detach_pending: false,
        rows_estimate: None,
        bytes: None,
        comment: None,
    }
}

fn table(name: &str, kind: &str, partitions: &[(&str, &str, &str)]) -> PartitionedTable {
    PartitionedTable {
        oid: 0,
        name: QualifiedName::new("public", name),
        owner: String::new(),
        parent: None,
        strategy: Strategy::Range,
        key: vec![KeyColumn {
            column: Some("at".to_owned()),
            expression: None,
            type_name: kind.to_owned(),
        }],
        partitions: partitions
            .iter()
            .map(|(name, from, to)| {
                partition(name, &format!("FOR VALUES FROM ('{from}') TO ('{to}')"))
            })
            .collect(),
        columns: Vec::new(),
        uniques: Vec::new(),
        foreign_keys_out: Vec::new(),
        foreign_keys_in: Vec::new(),
        properties: Properties::default(),
        rights: Rights::default(),
    }
}

fn made(tables: Vec<PartitionedTable>, zone: &str) -> Starter {
    let catalog = Catalog {
        server: Server {
            time_zone: zone.to_owned(),
            ..Server::default()
        },
        tables,
        ..Catalog::default()
    };
    starter(&catalog, now())
}

fn policy(table: PartitionedTable, zone: &str) -> StarterPolicy {
    let [only] = made(vec![table], zone).tables.try_into().unwrap();
    assert_eq!(only.open, None);
    only.policy.unwrap()
}

fn open(table: PartitionedTable) -> String {
    let [only] = made(vec![table], "UTC").tables.try_into().unwrap();
    only.open.unwrap()
}

#[test]
fn a_monthly_table_is_told_with_its_names_and_what_stands_ready() {
    let months: Vec<(String, String, String)> = (1..=9)
        .map(|month| {
            (
                format!("e_p2026_{month:02}"),
                format!("2026-{month:02}-01"),
                format!("2026-{:02}-01", month + 1),
            )
        })
        .collect();
    let months: Vec<(&str, &str, &str)> = months
        .iter()
        .map(|(name, from, to)| (name.as_str(), from.as_str(), to.as_str()))
        .collect();
    let found = policy(table("e", "date", &months), "Etc/UTC");
    assert_eq!(found.every, Period::Month);
    assert_eq!((found.ready, found.premake), (6, 6));
    assert_eq!(found.name.as_deref(), Some("{table}_p{YYYY}_{MM}"));
    assert_eq!((found.past, found.start), (0, None));
    assert_eq!((found.time_zone, found.other_zone), (Tz::UTC, None));
    let found = policy(table("e", "date", &months[..3]), "UTC");
    assert_eq!((found.ready, found.premake), (0, 3));
}

#[test]
fn the_servers_zone_is_recognised_and_others_are_left_to_a_person() {
    let berlin = [
        ("e_1", "2026-01-31 23:00:00+00", "2026-02-28 23:00:00+00"),
        ("e_2", "2026-02-28 23:00:00+00", "2026-03-31 22:00:00+00"),
    ];
    let kind = "timestamp with time zone";
    let found = policy(table("e", kind, &berlin), "Europe/Berlin");
    assert_eq!(found.time_zone, Tz::Europe__Berlin);
    let why = open(table("e", kind, &berlin));
    assert!(
        why.contains("one month in Europe/Berlin") && why.contains("other time zones"),
        "{why}"
    );
    let utc = [("e_1", "2026-01-01 00:00:00+00", "2026-02-01 00:00:00+00")];
    let found = policy(table("e", kind, &utc), "Europe/London");
    assert_eq!(found.other_zone, Some(Tz::Europe__London));
    let found = policy(table("e", kind, &utc), "Europe/Berlin");
    assert_eq!(found.other_zone, None);
}

#[test]
fn numbers_are_time_only_where_one_unit_fits_every_bound() {
    for (from, to, key) in [
        ("1767225600", "1769904000", KeyEncoding::EpochS),
        ("1767225600000", "1769904000000", KeyEncoding::EpochMs),
        ("1767225600000000", "1769904000000000", KeyEncoding::EpochUs),
        (
            "1767225600000000000",
            "1769904000000000000",
            KeyEncoding::EpochNs,
        ),
    ] {
        let found = policy(table("e", "bigint", &[("e_2026_01", from, to)]), "UTC");
        assert_eq!((found.key, found.every), (Some(key), Period::Month));
    }
    let seconds = [("e_2026_01", "1767225600", "1769904000")];
    let found = policy(table("e", "integer", &seconds), "UTC");
    assert_eq!(found.key, Some(KeyEncoding::EpochS));
    for ranges in [
        &[("e_0", "0", "1000000")][..],
        // An hour of 1970, and one of the year 58000.
        &[("e_0", "0", "3600")],
        &[("e_0", "1000000000000", "2000000000000")],
        // One bound beside a period spoils the proof.
        &[
            ("e_1", "1767225600", "1769904000"),
            ("e_2", "1769904000", "1772323201"),
        ],
    ] {
        let why = open(table("e", "bigint", ranges));
        assert!(why.contains("plain number"), "{why}");
    }
    assert!(open(table("e", "bigint", &[])).contains("no partition yet"));
}

#[test]
fn uuids_are_time_only_in_version_7() {
    let axis = Axis::UuidV7;
    let bound = |day: &str| {
        let civil = format!("{day}T00:00:00").parse().unwrap();
        axis.literal(axis.of_civil(civil, Tz::UTC))
    };
    let (from, to) = (bound("2026-01-05"), bound("2026-01-12"));
    let found = policy(table("e", "uuid", &[("e_2026w02", &from, &to)]), "UTC");
    assert_eq!(
        (found.key, found.every),
        (Some(KeyEncoding::UuidV7), Period::Week)
    );
    assert_eq!(found.name.as_deref(), Some("{table}_{IYYY}w{IW}"));
    let version_4 = to.replacen("-7", "-4", 1);
    for (from, to) in [
        (from.as_str(), version_4.as_str()),
        (
            "00000000-0000-0000-0000-000000000000",
            "80000000-0000-0000-0000-000000000000",
        ),
    ] {
        assert!(open(table("e", "uuid", &[("e_1", from, to)])).contains("version 7"));
    }
}

#[test]
fn what_cannot_be_told_says_why() {
    let odd = [
        ("e_1", "2026-01-01", "2026-01-11"),
        ("e_2", "2026-01-11", "2026-01-21"),
    ];
    let why = open(table("e", "date", &odd));
    assert!(why.contains("most of its 2 bounded partitions") && why.contains("public.e_1"));
    assert!(open(table("e", "date", &[])).contains("no partition with two bounds"));
    assert!(open(table("e", "text", &[("e_1", "a", "b")])).contains("`text` cannot be managed"));
    let mut expression = table("e", "date", &odd);
    expression.key[0].column = None;
    expression.key[0].expression = Some("date(at)".to_owned());
    assert!(open(expression).contains("expression date(at)"));
}

#[test]
fn missing_past_periods_are_counted_and_many_are_left_alone() {
    let gap = [
        ("e_2025_12", "2025-12-01", "2026-01-01"),
        ("e_2026_02", "2026-02-01", "2026-03-01"),
        ("e_2026_03", "2026-03-01", "2026-04-01"),
    ];
    let found = policy(table("e", "date", &gap), "UTC");
    let start = "2026-02-01T00:00:00".parse().ok();
    assert_eq!(
        (found.past, found.start, found.past_is_long),
        (1, start, false)
    );
    let old = [("e_2025_01_01", "2025-01-01", "2025-01-02")];
    let found = policy(table("e", "date", &old), "UTC");
    let start = "2026-03-15T00:00:00".parse().ok();
    assert_eq!((found.start, found.past_is_long), (start, true));
}

#[test]
fn hash_partitions_below_a_period_are_followed_and_others_are_open() {
    let months = [("e_2026_03", "2026-03-01", "2026-04-01")];
    let mut parent = table("e", "date", &months);
    parent.partitions[0].kind = PartitionKind::Partitioned;
    let mut child = table("e_2026_03", "bigint", &[]);
    child.parent = Some(parent.name.clone());
    child.strategy = Strategy::Hash;
    child.partitions = (0..2)
        .map(|at| {
            let bound = format!("FOR VALUES WITH (modulus 2, remainder {at})");
            partition(&format!("e_2026_03_h{at}"), &bound)
        })
        .collect();
    let found = made(vec![parent.clone(), child.clone()], "UTC");
    assert_eq!(
        found.tables[0].policy.as_ref().unwrap().sub,
        Some(SubPartitions::Hash {
            columns: vec!["at".to_owned()],
            modulus: 2
        })
    );
    assert!(found.left_out.is_empty());
    child.partitions.pop();
    let found = made(vec![parent, child], "UTC");
    let open = found.tables[0].open.as_ref();
    assert!(open.unwrap().contains("partitioned again"));
}

#[test]
fn tables_that_are_not_cut_by_range_at_the_top_are_left_out_by_name() {
    let mut list = table("l", "text", &[]);
    list.strategy = Strategy::List;
    let mut below = table("l_eu", "date", &[]);
    below.parent = Some(list.name.clone());
    let found = made(vec![list, below], "UTC");
    assert!(found.tables.is_empty());
    assert_eq!(found.left_out.len(), 2);
    assert!(found.left_out[1].1.contains("a partition of public.l"));
}
