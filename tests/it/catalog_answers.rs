//! Questions about rows and names: answered, bounded, and the transaction stays usable.

use anyhow::Result;
use dbops::catalog::{
    Answers, DefaultQuestion, NameQuestion, Questions, ReferencedQuestion, answer,
};

use crate::common::{Ctx, tests};

use crate::catalog::*;

tests!(Every: questions_are_answered_and_leave_the_transaction_usable);

async fn questions_are_answered_and_leave_the_transaction_usable(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table m (id bigint not null, at timestamptz not null, u uuid, primary key (id, at)) partition by range (at);
         create table m_1 partition of m for values from ('2024-01-01Z') to ('2024-02-01Z');
         create table m_rest partition of m default partition by hash (id);
         create table m_rest_0 partition of m_rest for values with (modulus 1, remainder 0);
         create table points (id bigint, at timestamptz, foreign key (id, at) references m);
         insert into m select i, timestamptz '2024-01-01Z' + i * interval '1 day' from generate_series(0, 40) as i;
         insert into points values (3, '2024-01-04Z'), (35, '2024-02-05Z'), (null, null);
         create table same (like m);
         create table filled (like m); insert into filled values (1, now());
         create table hidden (like m); insert into hidden values (1, now()); alter table hidden enable row level security;
         create table different (id bigint not null, at timestamptz, u uuid);
         create view a_view as select 1 as one;
         create type an_enum as enum ('a');
         create table uuids (u uuid) partition by range (u);
         create table uuids_rest partition of uuids default;
         insert into uuids values ('00000000-0000-0000-0000-000000000001'), ('ff000000-0000-0000-0000-000000000000');
         create table empty (at date) partition by range (at);
         create table empty_rest partition of empty default",
    )
    .await?;
    let catalog = read_all(&db).await?;
    let table = find(&catalog, "public", "m")?;
    let ask = |wanted: &str| NameQuestion {
        table: table.name.clone(),
        table_oid: table.oid,
        name: name("public", wanted),
    };
    let range =
        |table: &str, column: &str, type_name: &str, from: Option<&str>, to: Option<&str>| {
            DefaultQuestion {
                table: name("public", table),
                default: name("public", &format!("{table}_rest")),
                column: column.to_owned(),
                type_name: type_name.to_owned(),
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
            }
        };
    let time = "timestamp with time zone";
    let questions = Questions {
        names: [
            "free",
            "same",
            "filled",
            "different",
            "a_view",
            "an_enum",
            "m_1",
            "m_pkey",
            "_m",
        ]
        .map(ask)
        .to_vec(),
        default_ranges: vec![
            range(
                "m",
                "at",
                time,
                Some("2024-02-01 00:00:00+00"),
                Some("2024-02-03 00:00:00+00"),
            ),
            range("m", "at", time, Some("2025-02-01 00:00:00+00"), None),
            range("m", "at", time, None, Some("2024-02-02 00:00:00+00")),
            range(
                "uuids",
                "u",
                "uuid",
                Some("00000000-0000-0000-0000-000000000000"),
                None,
            ),
            range(
                "empty",
                "at",
                "date",
                Some("2024-02-01"),
                Some("2024-02-02"),
            ),
        ],
        referenced: ["m_1", "m_rest"]
            .map(|partition| ReferencedQuestion {
                partition: name("public", partition),
                foreign_key: table.foreign_keys_in[0].clone(),
            })
            .to_vec(),
    };
    let mut client = db.connect().await?;
    let tx = begin(&mut client).await?;
    let answers = answer(&tx, &questions).await?;
    assert_eq!(
        taken(&answers),
        [
            ("same", "table", true, Some(true)),
            ("filled", "table", true, Some(false)),
            ("different", "table", false, None),
            ("a_view", "view", false, None),
            ("an_enum", "enum type", false, None),
            ("m_1", "partition of public.m", false, None),
            ("m_pkey", "index", false, None),
        ]
    );
    let rows: Vec<_> = answers
        .default_rows
        .iter()
        .map(|r| {
            (
                r.table.name.as_str(),
                r.count,
                r.min.as_deref(),
                r.max.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (
                "m",
                Some(2),
                Some("2024-02-01 00:00:00+00"),
                Some("2024-02-02 00:00:00+00")
            ),
            (
                "m",
                Some(1),
                Some("2024-02-01 00:00:00+00"),
                Some("2024-02-01 00:00:00+00")
            ),
            (
                "uuids",
                Some(2),
                Some("00000000-0000-0000-0000-000000000001"),
                Some("ff000000-0000-0000-0000-000000000000")
            ),
        ]
    );
    let referenced: Vec<_> = answers
        .referenced
        .iter()
        .map(|r| (r.partition.name.as_str(), r.foreign_key.as_str(), r.count))
        .collect();
    let key = table.foreign_keys_in[0].name.as_str();
    assert_eq!(
        referenced,
        [("m_1", key, Some(1)), ("m_rest", key, Some(1))]
    );
    let strong = locks(&tx).await?;
    assert!(
        strong.iter().all(|lock| lock.ends_with(" AccessShareLock")),
        "{strong:?}"
    );
    drop(tx);

    // A role that may not look, or from whom rows are hidden, gets "unknown" and no failure.
    let role = format!("{}_blind", db.name);
    db.run(&format!(
        "create role \"{role}\"; grant select on hidden to \"{role}\""
    ))
    .await?;
    client
        .query_typed(&format!("set role \"{role}\""), &[])
        .await?;
    let tx = begin(&mut client).await?;
    let blind = answer(
        &tx,
        &Questions {
            names: ["same", "hidden"].map(ask).to_vec(),
            ..questions
        },
    )
    .await?;
    assert_eq!(
        taken(&blind),
        [
            ("same", "table", true, None),
            ("hidden", "table", true, None)
        ]
    );
    assert_eq!(blind.default_rows.len(), 5);
    assert!(blind.default_rows.iter().all(|r| r.count.is_none()));
    assert!(blind.referenced.iter().all(|r| r.count.is_none()));
    tx.query_typed("select 1", &[]).await?;
    drop(tx);
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}

fn taken(answers: &Answers) -> Vec<(&str, &str, bool, Option<bool>)> {
    answers
        .taken
        .iter()
        .map(|t| {
            (
                t.name.name.as_str(),
                t.kind.as_str(),
                t.same_columns,
                t.empty,
            )
        })
        .collect()
}
