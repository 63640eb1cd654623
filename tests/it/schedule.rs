//! The script for pg_cron: the server alone creates the same partitions as dbops.

use anyhow::{Context as _, Result, ensure};

use crate::common::{Ctx, Db, tests};

tests!(
    Ends: the_script_alone_creates_what_dbops_would,
    partitions_made_by_the_script_follow_their_parent,
    one_broken_table_never_stops_the_others,
    a_running_dbops_is_left_alone_and_a_blocked_table_deferred,
    a_script_runs_again_and_replaces_its_policies,
    a_pending_detach_is_reported_as_dbops_does,
);

/// Instants at the end of months, in skipped and repeated hours, and around leap days.
const MOMENTS: [&str; 7] = [
    "2026-02-15T10:00:00Z",
    "2027-03-28T00:59:59Z",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z",
    "2027-12-31T23:59:59Z",
    "2028-02-29T12:00:00Z",
    "2026-09-06T03:30:00Z",
];

/// Every kind of key with periods and zones that make it hard; hours in zones with half an hour,
/// days whose midnight does not exist.
const KINDS: [(&str, &str, &str); 14] = [
    ("d_month", "date", "every: month"),
    ("d_year", "date", "every: year, time_zone: Pacific/Auckland"),
    (
        "ts_day",
        "timestamp",
        "every: day, time_zone: America/New_York, premake: 5",
    ),
    (
        "ts_hour",
        "timestamp(3)",
        "every: hour, time_zone: Europe/Madrid",
    ),
    (
        "tz_month",
        "timestamptz",
        "every: month, retain: 13 months, start: 2026-01-15",
    ),
    (
        "tz_hour",
        "timestamptz",
        "every: hour, time_zone: Europe/Madrid, premake: 30",
    ),
    (
        "tz_half",
        "timestamptz",
        "every: hour, time_zone: Australia/Lord_Howe, premake: 30",
    ),
    (
        "tz_day",
        "timestamptz",
        "every: day, time_zone: America/Santiago, premake: 40",
    ),
    (
        "tz_week",
        "timestamptz(0)",
        "every: week, time_zone: Asia/Kolkata",
    ),
    (
        "es_quarter",
        "bigint",
        "every: quarter, key: epoch-s, time_zone: America/New_York",
    ),
    ("ei_day", "integer", "every: day, key: epoch-s"),
    (
        "ems_week",
        "bigint",
        "every: week, key: epoch-ms, time_zone: Europe/Madrid",
    ),
    (
        "ens_day",
        "bigint",
        "every: day, key: epoch-ns, time_zone: Asia/Tehran",
    ),
    (
        "u7_month",
        "uuid",
        "every: month, key: uuid-v7, time_zone: Pacific/Chatham, name: 'x_{table}-{DDD}\"\\{YYYY}'",
    ),
];

async fn the_script_alone_creates_what_dbops_would(ctx: &Ctx) -> Result<()> {
    let by_dbops = ctx.db().await?;
    let by_script = ctx.db().await?;
    let long = "ein_langer_name_für_eine_tabelle_mit_vielen_umlauten_äöü";
    let mut plan = "version: 1\npartitions:\n".to_owned();
    let mut tables = String::new();
    for (table, type_name, policy) in KINDS {
        plan.push_str(&format!("  - {{ table: public.{table}, {policy} }}\n"));
        tables.push_str(&format!(
            "create table {table} (id bigint, k {type_name} not null) partition by range (k, id);"
        ));
    }
    plan.push_str(&format!(
        "  - {{ table: 'public.{long}', every: hour, retain: 30 hours }}\n  - {{ table: public.part, every: month }}\n"
    ));
    tables.push_str(&format!(
        "create table {long} (k timestamp not null) partition by range (k);
         create table part (k timestamptz not null) partition by range (k);
         create table part_odd partition of part for values from ('2026-01-10 00:00+00') to ('2026-02-03 04:05:06.7+00');
         create table part_open partition of part for values from ('2026-06-11 00:00+00') to ('2026-07-01 00:00+00');
         create table u7_odd partition of u7_month
             for values from ('019b7612-0000-7000-8000-000000000000', minvalue) to ('019b7613-0000-7000-9000-000000000001', maxvalue);
         create table ems_odd partition of ems_week for values from (1767225600000, maxvalue) to (1767225700000, maxvalue);"
    ));
    write(ctx, &plan)?;
    for db in [&by_dbops, &by_script] {
        // Neither the session's zone nor its date style may decide anything.
        db.run("set timezone = 'America/Caracas'; set datestyle = 'German'")
            .await?;
    }
    let script = script(ctx, &["--without-cron"]).await?;
    by_script.run(&script).await?;
    for moment in MOMENTS {
        for db in [&by_dbops, &by_script] {
            db.run("drop schema public cascade; create schema public")
                .await?;
            db.run(&tables).await?;
        }
        ctx.dbops()
            .on(&by_dbops)
            .args(["partitions", "ensure", "--as-of", moment])
            .run()
            .await?
            .exits_with(0)?;
        call(&by_script, moment)
            .await
            .with_context(|| format!("as of {moment}"))?;
        let (wanted, made) = (partitions(&by_dbops).await?, partitions(&by_script).await?);
        let only = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|line| !b.contains(line)).cloned().collect()
        };
        ensure!(
            wanted == made,
            "as of {moment}:\nonly dbops: {:#?}\nonly the script: {:#?}",
            only(&wanted, &made),
            only(&made, &wanted)
        );
        let rest = nothing_left(ctx, &by_script, moment).await?;
        ensure!(rest.is_empty(), "as of {moment}: {rest}");
    }
    Ok(())
}

async fn partitions_made_by_the_script_follow_their_parent(ctx: &Ctx) -> Result<()> {
    let by_dbops = ctx.db().await?;
    let by_script = ctx.db().await?;
    write(
        ctx,
        "version: 1\npartitions:\n  - { table: app.events, every: month, with: { fillfactor: 70 } }\n",
    )?;
    let number = ctx.major;
    for (db, suffix) in [(&by_dbops, "d"), (&by_script, "s")] {
        let (owner, reader) = (
            format!("owner{number}{suffix}"),
            format!("reader{number}{suffix}"),
        );
        db.run(&format!(
            "create role {owner}; create role {reader}; create schema app; grant all on schema app to {owner};
             alter default privileges grant delete on tables to {reader};
             create table app.kinds (id int primary key);
             create table app.events (id bigint generated always as identity, kind int references app.kinds, note text,
                 at timestamptz not null, unique (id, at), check (id > 0)) partition by range (at);
             create unique index odd_index on app.events (at, id);
             alter table app.events replica identity using index odd_index;
             alter table app.events alter note set statistics 321, alter note set (n_distinct = -0.5);
             alter table app.events enable row level security, force row level security;
             create policy mine on app.events as restrictive for update to {reader} using (id > 1) with check (id > 2);
             comment on table app.events is 'it''s 100% \\ \"here\"';
             alter table app.events owner to {owner};
             revoke all on app.events from {owner}; grant select, insert on app.events to {owner};
             revoke delete on app.events from {reader};
             grant select on app.events to {reader} with grant option; grant update (note) on app.events to public;
             create table app.events_default partition of app.events default;
             create table app.other (k int unique);"
        ))
        .await?;
    }
    let moment = "2026-05-05T00:00:00Z";
    ctx.dbops()
        .on(&by_dbops)
        .args(["partitions", "ensure", "--as-of", moment])
        .run()
        .await?
        .exits_with(0)?;
    by_script
        .run(&script(ctx, &["--without-cron"]).await?)
        .await?;
    call(&by_script, moment).await?;
    let facts = "select pg_catalog.string_agg(fact, e'\\n' order by fact) from (
        select pg_catalog.concat_ws(' ', c.oid::regclass, pg_get_userbyid(c.relowner), c.relreplident, c.relrowsecurity,
            c.relforcerowsecurity, c.reloptions, obj_description(c.oid, 'pg_class'), pg_get_expr(c.relpartbound, 0),
            array(select pg_get_userbyid(g.grantee) || g.privilege_type || g.is_grantable::text from aclexplode(c.relacl) g order by 1),
            array(select p.polname || p.polpermissive::text || p.polcmd::text || pg_get_expr(p.polqual, p.polrelid)
                || pg_get_expr(p.polwithcheck, p.polrelid) from pg_policy p where p.polrelid = c.oid),
            array(select a.attname || coalesce(a.attstattarget, -1)::text || coalesce(a.attoptions::text, '') || coalesce(a.attacl::text, '')
                from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 order by a.attnum),
            array(select x.indisreplident from pg_index x where x.indrelid = c.oid order by pg_get_indexdef(x.indexrelid)),
            array(select pg_get_constraintdef(k.oid) from pg_constraint k where k.conrelid = c.oid order by 1))
        from pg_class c join pg_inherits i on i.inhrelid = c.oid where i.inhparent = 'app.events'::regclass) as f (fact)";
    let wanted: String = by_dbops.value(facts).await?;
    let made: String = by_script.value(facts).await?;
    let wanted = wanted
        .replace(&format!("owner{number}d"), "owner")
        .replace(&format!("reader{number}d"), "reader");
    let made = made
        .replace(&format!("owner{number}s"), "owner")
        .replace(&format!("reader{number}s"), "reader");
    for (db, suffix) in [(&by_dbops, "d"), (&by_script, "s")] {
        // Roles belong to the whole cluster.
        db.run(&format!(
            "drop owned by owner{number}{suffix}, reader{number}{suffix} cascade; drop role owner{number}{suffix}, reader{number}{suffix}"
        ))
        .await?;
    }
    ensure!(wanted.lines().count() == 5, "{wanted}");
    ensure!(
        wanted == made,
        "--- dbops ---\n{wanted}\n--- script ---\n{made}"
    );
    Ok(())
}

async fn one_broken_table_never_stops_the_others(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    write(
        ctx,
        "version: 1\npartitions:\n  - { table: absent, every: day }\n  - { table: plain, every: day }\n  \
         - { table: listed, every: day }\n  - { table: taken, every: year, premake: 1 }\n  \
         - { table: filled, every: year, premake: 2 }\n  - { table: split, every: year }\n  - { table: good, every: year, premake: 1 }\n",
    )?;
    db.run(
        "create table plain (k date); create table listed (k date) partition by list (k);
         create table taken (k date) partition by range (k); create table taken_2027 (x int);
         create table filled (k date) partition by range (k); create table filled_rest partition of filled default;
         insert into filled values ('2027-07-07');
         create table split (k date, n int) partition by range (k, n);
         create table split_1 partition of split for values from ('2026-01-01', 1) to ('2026-01-01', 5);
         create table good (k date) partition by range (k);",
    )
    .await?;
    db.run(&script(ctx, &["--without-cron"]).await?).await?;
    let error = call(&db, "2026-05-05T00:00:00Z")
        .await
        .err()
        .context("the call did not fail")?;
    ensure!(
        format!("{error:#}").contains("could not be served"),
        "{error:#}"
    );
    let outcomes: String = db
        .value(
            "select string_agg(concat_ws(' ', parent, partition_name, status, left(message, 40)), e'\\n' order by id)
             from dbops_schedule.outcomes",
        )
        .await?;
    let wanted = "\
public.absent failed there is no table public.absent (dbops.y
public.plain failed public.plain is not a partitioned table
public.listed failed public.listed is not partitioned by rang
public.taken taken_2026 created
public.taken taken_2027 failed relation \"taken_2027\" already exists (SQ
public.filled filled_2026 created
public.filled filled_2027 refused DEFAULT partition public.filled_rest hol
public.filled filled_2028 created
public.split failed the bound of public.split_1 divides rows
public.good good_2026 created
public.good good_2027 created";
    let lines: Vec<&str> = outcomes.lines().map(str::trim_end).collect();
    ensure!(lines == wanted.lines().collect::<Vec<_>>(), "{outcomes}");
    Ok(())
}

async fn a_running_dbops_is_left_alone_and_a_blocked_table_deferred(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    write(
        ctx,
        "version: 1\nlock_budget: { max_block: 50ms, give_up_after: 300ms }\npartitions:\n  \
         - { table: busy, every: year }\n  - { table: free, every: year, premake: 1 }\n",
    )?;
    db.run(
        "create table busy (k date) partition by range (k); create table free (k date) partition by range (k);",
    )
    .await?;
    db.run(&script(ctx, &["--without-cron"]).await?).await?;
    let other = db.connect().await?;
    other
        .query("select pg_advisory_lock(1684172656, 1)", &[])
        .await?;
    call(&db, "2026-05-05T00:00:00Z").await?;
    let count: i64 = db.value("select count(*) from pg_inherits").await?;
    ensure!(count == 0, "it ran beside another");
    let note: String = db.value("select note from dbops_schedule.runs").await?;
    ensure!(note.contains("another run"), "{note}");
    other
        .query("select pg_advisory_unlock(1684172656, 1)", &[])
        .await?;

    other.query("begin", &[]).await?;
    other
        .query("lock table busy in share update exclusive mode", &[])
        .await?;
    ensure!(call(&db, "2026-05-05T00:00:00Z").await.is_err());
    let (deferred, created): (i64, i64) = (
        db.value("select count(*) from dbops_schedule.outcomes where parent = 'public.busy' and status = 'deferred'").await?,
        db.value("select count(*) from dbops_schedule.outcomes where parent = 'public.free' and status = 'created'").await?,
    );
    ensure!(
        (deferred, created) == (4, 2),
        "{deferred} deferred, {created} created"
    );
    other.query("rollback", &[]).await?;
    call(&db, "2026-05-05T00:00:00Z").await?;
    let rest = nothing_left(ctx, &db, "2026-05-05").await?;
    ensure!(rest.is_empty(), "{rest}");
    let held: i64 = db
        .value("select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())")
        .await?;
    ensure!(held == 0, "the advisory lock stayed");
    Ok(())
}

async fn a_script_runs_again_and_replaces_its_policies(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table a (k date) partition by range (k); create table b (k date) partition by range (k)")
        .await?;
    for table in ["a", "b"] {
        write(
            ctx,
            &format!(
                "version: 1\npartitions:\n  - {{ table: {table}, every: month, premake: 1 }}\n"
            ),
        )?;
        db.run(&script(ctx, &["--without-cron"]).await?).await?;
        call(&db, "2026-05-05T00:00:00Z").await?;
    }
    ensure!(partitions(&db).await?.len() == 4);
    let (policies, runs): (i64, i64) = (
        db.value("select count(*) from dbops_schedule.policies")
            .await?,
        db.value("select count(*) from dbops_schedule.runs where created = 2")
            .await?,
    );
    ensure!(
        (policies, runs) == (1, 2),
        "{policies} policies, {runs} runs"
    );
    Ok(())
}

/// A detach can be left pending from PostgreSQL 14 on; on 13 nothing is reported.
async fn a_pending_detach_is_reported_as_dbops_does(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    write(
        ctx,
        "version: 1\npartitions:\n  - { table: t, every: year, premake: 1 }\n",
    )?;
    db.run(
        "create table t (k date) partition by range (k);
         create table t_now partition of t for values from ('2026-01-01') to ('2027-01-01')",
    )
    .await?;
    db.run(&script(ctx, &["--without-cron"]).await?).await?;
    if ctx.major >= 14 {
        let reader = db.connect().await?;
        reader.query("begin", &[]).await?;
        reader.query("select from t", &[]).await?;
        db.run("set statement_timeout = '300ms'").await?;
        let detach = db.run("alter table t detach partition t_now concurrently");
        ensure!(detach.await.is_err(), "the detach was not held up");
        db.run("reset statement_timeout").await?;
        reader.query("rollback", &[]).await?;
    }
    let called = call(&db, "2026-05-05T00:00:00Z").await;
    let refused: i64 = db
        .value("select count(*) from dbops_schedule.outcomes where status = 'refused' and message like 'public.t_now is pending%'")
        .await?;
    let pending = ctx.major >= 14;
    ensure!(
        called.is_err() == pending && refused == i64::from(pending),
        "{refused} refused"
    );
    let created: i64 = db
        .value("select count(*) from dbops_schedule.outcomes where status = 'created'")
        .await?;
    ensure!(created == 1, "{created} created");
    Ok(())
}

pub(crate) fn write(ctx: &Ctx, plan: &str) -> Result<()> {
    Ok(std::fs::write(ctx.dir().join("dbops.yaml"), plan)?)
}

pub(crate) async fn script(ctx: &Ctx, args: &[&str]) -> Result<String> {
    let command = ctx
        .dbops()
        .args(["schedule", "partitions", "--kind", "pg-cron"])
        .args(args.iter().copied());
    Ok(command.run().await?.exits_with(0)?.stdout)
}

async fn call(db: &Db, moment: &str) -> Result<()> {
    db.run(&format!(
        "call dbops_schedule.ensure_partitions('{moment}')"
    ))
    .await
}

/// Every partition with its bound, in order.
pub(crate) async fn partitions(db: &Db) -> Result<Vec<String>> {
    let text: Option<String> = db
        .value(
            "select string_agg(i.inhparent::regclass || ' ' || c.relname || ' ' || pg_get_expr(c.relpartbound, 0), e'\\n'
                 order by i.inhparent::regclass::text, c.relname)
             from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind in ('r', 'p')",
        )
        .await?;
    Ok(text
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect())
}

/// What dbops would still do, as SQL; nothing when the script did it all.
async fn nothing_left(ctx: &Ctx, db: &Db, moment: &str) -> Result<String> {
    let run = ctx
        .dbops()
        .on(db)
        .args([
            "partitions",
            "ensure",
            "--dry-run",
            "--exit-code",
            "--as-of",
            moment,
        ])
        .run()
        .await?;
    Ok(if run.status.success() {
        String::new()
    } else {
        format!("{}{}", run.stdout, run.stderr)
    })
}
