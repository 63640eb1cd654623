//! The locks that a step announces are the locks that it takes (research: P1 to P10).
#![expect(
    clippy::disallowed_methods,
    reason = "tests run a step's statements themselves and look at pg_locks"
)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, changeset, same, tests};

tests!(
    Every: announced_locks_are_the_locks_taken_by_ensure,
    announced_locks_are_the_locks_taken_by_prune,
    announced_locks_are_the_locks_taken_by_a_later_drop,
    creating_takes_nothing_on_the_parent_that_stops_a_writer,
);

/// Shapes of a parent `a` with months from October to January, and of what is around it.
fn shapes() -> Vec<(&'static str, &'static str)> {
    let plain = "create table a (id int not null, u int, at date not null, primary key (id, at)) partition by range (at)";
    let _ = plain;
    vec![
        ("plain", ""),
        (
            "fk out",
            "create table users (id int primary key); alter table a add foreign key (u) references users",
        ),
        (
            "two fk out to one",
            "create table users (id int primary key); alter table a add foreign key (u) references users; \
            alter table a add constraint again foreign key (id) references users",
        ),
        (
            "fk out to partitioned",
            "create table users (id int primary key) partition by range (id); \
            create table users_1 partition of users for values from (0) to (1000); \
            create table users_2 partition of users for values from (1000) to (2000); \
            alter table a add foreign key (u) references users",
        ),
        (
            "fk in",
            "create table c (i int, t date, foreign key (i, t) references a)",
        ),
        (
            "fk in from partitioned",
            "create table c (i int, t date, foreign key (i, t) references a) partition by range (t); \
            create table c_1 partition of c for values from ('2020-01-01') to ('2030-01-01')",
        ),
        (
            "fk to itself",
            "alter table a add column pi int; alter table a add column pt date; \
            alter table a add foreign key (pi, pt) references a",
        ),
        ("default", "create table a_rest partition of a default"),
        (
            "default sub-partitioned",
            "create table a_rest partition of a default partition by hash (id); \
            create table a_rest_0 partition of a_rest for values with (modulus 1, remainder 0)",
        ),
        (
            "all",
            "create table users (id int primary key); alter table a add foreign key (u) references users; \
            create table c (i int, t date, foreign key (i, t) references a); create table a_rest partition of a default",
        ),
        (
            "trigger",
            "create function f() returns trigger language plpgsql as 'begin return new; end'; \
            create trigger t before insert on a for each row execute function f()",
        ),
        (
            "sub-partitioned month",
            "create table a_2025_09 partition of a for values from ('2025-09-01') to ('2025-10-01') \
            partition by hash (id); create table a_2025_09_h0 partition of a_2025_09 for values with (modulus 1, remainder 0)",
        ),
    ]
}

async fn build(db: &Db, extra: &str) -> Result<()> {
    db.run(
        "drop schema public cascade; create schema public; \
         create table a (id int not null, u int, at date not null, primary key (id, at)) partition by range (at); \
         create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01'); \
         create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01')",
    )
    .await?;
    db.run(&format!("select; {extra}")).await
}

fn strength(mode: &str) -> usize {
    [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ]
    .iter()
    .position(|known| *known == mode)
    .unwrap_or(usize::MAX)
}

/// Runs the step's first way without LOCK statements and returns the strongest lock on each table
/// that was there before, where it is above ACCESS SHARE.
async fn taken(db: &Db, step: &Value) -> Result<BTreeMap<String, String>> {
    let client = db.connect().await?;
    client
        .batch_execute("begin; set local search_path = ''")
        .await?;
    for statement in step["ways"][0]["statements"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let statement = statement.as_str().unwrap_or_default();
        client
            .batch_execute(statement)
            .await
            .with_context(|| format!("{statement} {step:#}"))?;
    }
    let pid: i32 = client
        .query_one("select pg_backend_pid()", &[])
        .await?
        .get(0);
    let rows = db
        .rows(&format!(
            "select n.nspname || '.' || c.relname, l.mode from pg_locks l join pg_class c on c.oid = l.relation \
             join pg_namespace n on n.oid = c.relnamespace where l.pid = {pid} and l.locktype = 'relation' and l.granted \
             and n.nspname = 'public' and c.relkind in ('r', 'p')"
        ))
        .await?;
    let mut locks: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        let (name, mode) = (row[0].clone(), row[1].clone());
        let held = locks.get(&name).map_or(0, |held| strength(held));
        if strength(&mode) > held.max(strength("AccessShareLock")) {
            locks.insert(name, mode);
        }
    }
    client.batch_execute("rollback").await?;
    Ok(locks)
}

async fn announced(db: &Db, step: &Value) -> Result<BTreeMap<String, String>> {
    let mut locks = BTreeMap::new();
    for lock in step["locks"].as_array().into_iter().flatten() {
        let name = lock["relation"].as_str().unwrap_or_default().to_owned();
        let words = lock["mode"].as_str().unwrap_or_default();
        let mode: String = words
            .split('_')
            .map(|word| {
                let (first, rest) = word.split_at(1);
                format!("{first}{}", rest.to_lowercase())
            })
            .collect();
        let mode = format!("{mode}Lock");
        if lock["only"] == Value::Bool(false) {
            // LOCK without ONLY takes the partitions too.
            for child in db
                .list(&format!(
                    "select relid::text from pg_partition_tree('{name}') where level > 0"
                ))
                .await?
            {
                locks.insert(format!("public.{child}"), mode.clone());
            }
        }
        locks.insert(name, mode);
    }
    Ok(locks)
}

async fn compare(db: &Db, shape: &str, step: &Value) -> Result<()> {
    let mut told = announced(db, step).await?;
    let mut seen = taken(db, step).await?;
    if db
        .value::<i32>("select current_setting('server_version_num')::int / 10000")
        .await?
        == 13
        && step["action"] == "detach-partition"
    {
        // 13 takes less on the partition itself; dbops takes more on purpose.
        let own = step["partitions"][0]["name"].as_str().unwrap_or_default();
        told.remove(own);
        seen.remove(own);
    }
    ensure!(
        told == seen,
        "{shape}, {}:\nannounced {told:#?}\ntaken {seen:#?}",
        step["summary"]
    );
    Ok(())
}

async fn steps(ctx: &Ctx, db: &Db, words: &str) -> Result<Vec<Value>> {
    let run = ctx.runs(db, words, 0).await?;
    Ok(changeset(&run)?["steps"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

async fn announced_locks_are_the_locks_taken_by_ensure(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut wrong = Vec::new();
    for (shape, extra) in shapes() {
        build(&db, extra).await?;
        ctx.plan("partitions:\n  - { table: a, every: month, premake: 1, start: 2026-02-01 }")?;
        let steps = steps(ctx, &db, "partitions ensure --dry-run --output json").await?;
        same(steps.len(), 1)?;
        for step in &steps {
            wrong.extend(
                compare(&db, shape, step)
                    .await
                    .err()
                    .map(|error| error.to_string()),
            );
        }
        ctx.ensures(&db, 0).await?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn announced_locks_are_the_locks_taken_by_prune(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut wrong = Vec::new();
    for (shape, extra) in shapes() {
        build(&db, extra).await?;
        ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month }")?;
        let steps = steps(ctx, &db, "partitions prune --dry-run --output json").await?;
        let shapes_with_two = shape == "sub-partitioned month";
        same(steps.len(), if shapes_with_two { 2 } else { 1 })?;
        for step in &steps {
            wrong.extend(
                compare(&db, shape, step)
                    .await
                    .err()
                    .map(|error| error.to_string()),
            );
        }
        ctx.runs(&db, "partitions prune", 0).await?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn announced_locks_are_the_locks_taken_by_a_later_drop(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut wrong = Vec::new();
    for (shape, extra) in shapes() {
        build(&db, extra).await?;
        ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month, grace: 0 days, allow: [drops-data] }")
            .or_else(|_| Ok::<_, anyhow::Error>(()))?;
        ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month, grace: 1 day, allow: [drops-data] }")?;
        ctx.runs(&db, "partitions prune", 0).await?;
        let run = ctx
            .at(
                &db,
                "2026-02-20",
                "partitions prune --dry-run --output json",
            )
            .run()
            .await?
            .exits_with(0)?;
        let steps = changeset(&run)?["steps"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ensure!(!steps.is_empty(), "{shape}: nothing to drop");
        let kinds: BTreeSet<String> = steps
            .iter()
            .map(|step| step["action"].to_string())
            .collect();
        same(kinds.len(), 1)?;
        for step in &steps {
            wrong.extend(
                compare(&db, shape, step)
                    .await
                    .err()
                    .map(|error| error.to_string()),
            );
        }
        ctx.at(&db, "2026-02-20", "partitions prune")
            .run()
            .await?
            .exits_with(0)?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn creating_takes_nothing_on_the_parent_that_stops_a_writer(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    build(&db, "").await?;
    let writer = db.connect().await?;
    writer
        .batch_execute(
            "begin; insert into a values (1, 1, '2026-02-03'); select * from a for update",
        )
        .await?;
    ctx.plan("partitions:\n  - { table: a, every: month }")?;
    ctx.runs(&db, "partitions ensure --give-up-after 5s", 0)
        .await?;
    writer
        .batch_execute("insert into a values (2, 2, '2026-02-03'); commit")
        .await?;
    same(db.children("a").await?.len(), 8)
}
