//! A new partition equals its parent in everything that PostgreSQL does not copy by itself
//! (research: P36 to P38).

use anyhow::{Result, ensure};

use crate::common::{Ctx, Db, NOW, same, tests};

tests!(
    Every: a_new_partition_equals_its_parent,
    grants_equal_those_of_the_parent_whatever_the_default_privileges,
    a_maintenance_role_creates_for_the_owner,
    sub_partitions_equal_the_parent_too,
    an_adopted_orphan_equals_its_parent,
    replica_identity_by_index_follows,
    a_tablespace_and_an_access_method_follow,
    identity_columns_keep_one_sequence,
);

/// A parent with one of everything; also used by the test of the SQL output.
pub(crate) const RICH: &str = "
    create table refs (id int primary key);
    create table rich (
      id bigint generated always as identity,
      at timestamptz not null,
      ref_id int references refs,
      body text collate \"C\" default 'x' not null check (length(body) < 1000),
      twice int generated always as (length(body) * 2) stored,
      big text,
      primary key (id, at)
    ) partition by range (at);
    create index rich_body_idx on rich (lower(body)) where body <> '';
    create unique index on rich (at, id) include (body);
    create statistics rich_stat on ref_id, body from rich;
    alter table rich alter column body set statistics 321, alter column body set (n_distinct = -0.5, n_distinct_inherited = -0.2),
      alter column big set storage external;
    alter table rich replica identity full;
    alter table rich enable row level security, force row level security;
    create policy mine on rich as restrictive for select to public using (body <> 'secret');
    create policy add on rich for insert with check (ref_id > 0 or ref_id is null);
    create policy every on rich to pg_monitor, pg_read_all_stats using (true) with check (body is not null);
    comment on table rich is E'it''s the\\nparent \\\\ 100%';
    comment on column rich.body is 'text';
    create function rich_f() returns trigger language plpgsql as 'begin return new; end';
    create trigger rich_t before insert on rich for each row execute function rich_f()";

fn rich(major: u16) -> String {
    if major >= 14 {
        format!("{RICH}; alter table rich alter column big set compression pglz")
    } else {
        RICH.to_owned()
    }
}

/// Compares what a partition has with what its parent has, fact by fact.
async fn equal(db: &Db, parent: &str, child: &str) -> Result<()> {
    let facts = |table: &str| {
        format!(
            "select f collate \"C\" from (
               select 'owner ' || relowner::regrole || ' rls ' || relrowsecurity || relforcerowsecurity || ' identity ' || relreplident::text
                 || ' comment ' || coalesce(obj_description(oid, 'pg_class'), '-') as f from pg_class where oid = '{table}'::regclass
               union all
               select 'grant ' || privilege_type || ' to ' || case grantee when 0 then 'PUBLIC' else grantee::regrole::text end || is_grantable
                 from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) where oid = '{table}'::regclass
               union all
               select 'column grant ' || attname || privilege_type || case grantee when 0 then 'PUBLIC' else grantee::regrole::text end || is_grantable
                 from pg_attribute, aclexplode(attacl) where attrelid = '{table}'::regclass
               union all
               select 'column ' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull || ' stat ' ||
                 coalesce(nullif(attstattarget, -1), -1) || ' opt ' || coalesce(array_to_string(attoptions, ','), '') || ' storage ' || attstorage::text
                 || ' compression ' || coalesce(to_jsonb(a) ->> 'attcompression', '') || ' gen ' || attgenerated::text
                 || ' collation ' || attcollation || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
                 || coalesce(' comment ' || col_description(attrelid, attnum), '')
                 from pg_attribute a left join pg_attrdef on adrelid = attrelid and adnum = attnum and attidentity = ''
                 where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped
               union all
               select 'policy ' || polname || polcmd::text || polpermissive || (select string_agg(case r when 0 then 'PUBLIC' else r::regrole::text end, ',' order by r)
                 from unnest(polroles) r) || coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '')
                 from pg_policy where polrelid = '{table}'::regclass
               union all
               select 'constraint ' || contype::text || pg_get_constraintdef(oid) from pg_constraint where conrelid = '{table}'::regclass and contype <> 'n'
               union all
               select 'index ' || regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* USING', ' INDEX USING') || indisvalid || indisprimary
                 from pg_index where indrelid = '{table}'::regclass
               union all
               select 'trigger ' || tgname || tgtype || tgfoid::regproc from pg_trigger where tgrelid = '{table}'::regclass and tgconstraint = 0
               union all
               select 'statistics ' || stxkeys::text || stxkind::text from pg_statistic_ext where stxrelid = '{table}'::regclass
             ) x order by 1"
        )
    };
    same(
        db.list(&facts(child)).await?,
        db.list(&facts(parent)).await?,
    )
}

async fn a_new_partition_equals_its_parent(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    db.run(&rich(ctx.major)).await?;
    db.run(&format!(
        "create role \"Own er{pid}\"; grant all on schema public to \"Own er{pid}\"; alter table rich owner to \"Own er{pid}\"; \
         grant select on rich to public; grant update (body), insert (at, body) on rich to pg_monitor with grant option"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: rich, every: month, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    equal(&db, "rich", "rich_2026_02").await?;
    equal(&db, "rich", "rich_2026_03").await?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn grants_equal_those_of_the_parent_whatever_the_default_privileges(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    let (owner, maker, leak) = (
        format!("gr_owner_{pid}"),
        format!("gr_maker_{pid}"),
        format!("gr_leak_{pid}"),
    );
    db.run(&format!(
        "create role {owner}; create role {maker} login in role {owner}; create role {leak}; grant all on schema public to {owner}, {maker};
         create table plain (at date) partition by range (at); create table none (at date) partition by range (at);
         create table some_of (at date) partition by range (at); create table all_of (at date) partition by range (at);
         create table few (at date) partition by range (at);
         alter table plain owner to {owner}; alter table none owner to {owner}; alter table some_of owner to {owner};
         alter table all_of owner to {owner}; alter table few owner to {owner};
         revoke all on none from {owner}; grant select, insert on some_of to {leak}; grant select on some_of to public with grant option;
         grant all on all_of to {leak} with grant option; revoke truncate on few from {owner}; grant select on few to {leak};
         alter default privileges for role {maker} grant all on tables to {leak};
         alter default privileges for role {maker} in schema public grant select on tables to public, pg_monitor;
         alter default privileges for role {owner} grant delete on tables to pg_read_all_stats"
    ).replace(" to public with grant option", " to public")).await?;
    ctx.plan(
        "partitions:\n  - { table: plain, every: year }\n  - { table: some_of, every: year }\n  - { table: all_of, every: year }\n  \
         - { table: few, every: year }",
    )?;
    let url = db.cluster.url_as(&maker, None, &db.name);
    ctx.at(&db, NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(0)?;
    for table in ["plain", "some_of", "all_of", "few"] {
        equal(&db, table, &format!("{table}_2026")).await?;
    }
    // An owner without any privilege of its own cannot be copied from by a mere member; a superuser can.
    ctx.plan("partitions:\n  - { table: none, every: year }")?;
    ctx.ensures(&db, 0).await?;
    equal(&db, "none", "none_2026").await
}

async fn a_maintenance_role_creates_for_the_owner(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    let (owner, maker) = (format!("ma_owner_{pid}"), format!("ma_maker_{pid}"));
    db.run(&rich(ctx.major)).await?;
    db.run(&format!(
        "create role {owner}; create role {maker} login; grant {owner} to {maker}; grant all on schema public to {owner}, {maker};
         alter table rich owner to {owner}; alter table refs owner to {owner}; grant create on database \"{}\" to {maker}", db.name
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: rich, every: month, premake: 1, start: 2025-11-01 }")?;
    let url = db.cluster.url_as(&maker, None, &db.name);
    let dbops = |words: &str, now: &str| ctx.at(&db, now, words).env("DATABASE_URL", &url);
    dbops("partitions ensure", NOW).run().await?.exits_with(0)?;
    equal(&db, "rich", "rich_2026_02").await?;
    ctx.plan("partitions:\n  - { table: rich, every: month, premake: 1, retain: 1 month, grace: 1 day, allow: [drops-data] }")?;
    dbops("partitions prune", NOW).run().await?.exits_with(0)?;
    dbops("partitions prune", "2026-02-14")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        db.value::<bool>("select to_regclass('rich_2025_11') is null")
            .await?
    );
    // Its history is there, and nobody had to be a superuser.
    ensure!(
        db.value::<i64>("select count(*) from dbops.run where status = 'done'")
            .await?
            == 3
    );
    Ok(())
}

async fn sub_partitions_equal_the_parent_too(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&rich(ctx.major)).await?;
    db.run("grant select on rich to pg_monitor").await?;
    ctx.plan("partitions:\n  - { table: rich, every: month, premake: 1, sub: { hash: { columns: [id], modulus: 2 } } }")?;
    ctx.ensures(&db, 0).await?;
    for child in ["rich_2026_02", "rich_2026_02_h0", "rich_2026_03_h1"] {
        let facts = "select relowner::regrole || relreplident::text || relrowsecurity || relforcerowsecurity || coalesce(relacl::text, '-') \
                     || coalesce(obj_description(oid, 'pg_class'), '-') || (select count(*) from pg_policy where polrelid = c.oid) \
                     || (select string_agg(attname || coalesce(attstattarget, -1) || coalesce(attoptions::text, '') || attstorage::text, ',' order by attnum) \
                         from pg_attribute where attrelid = c.oid and attnum > 0) from pg_class c where oid = ";
        same(
            db.value::<String>(&format!("{facts} '{child}'::regclass"))
                .await?,
            db.value::<String>(&format!("{facts} 'rich'::regclass"))
                .await?,
        )?;
    }
    Ok(())
}

async fn an_adopted_orphan_equals_its_parent(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    db.run(&rich(ctx.major)).await?;
    db.run(&format!(
        "create role or_owner_{pid}; grant all on schema public to or_owner_{pid}; alter table rich owner to or_owner_{pid}; \
         grant select on rich to pg_monitor; create table rich_2026_02 (like rich including all excluding identity)"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: rich, every: month, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    equal(&db, "rich", "rich_2026_02").await
}

async fn replica_identity_by_index_follows(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table \"R%i'd\" (id int not null, at date not null) partition by range (at); \
         create unique index \"U x%s\" on \"R%i'd\" (id, at); alter table \"R%i'd\" replica identity using index \"U x%s\"; \
         create table n (at date) partition by range (at); alter table n replica identity nothing",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: \"public.\\\"R%i'd\\\"\", every: month, premake: 1 }\n  - { table: n, every: year }")?;
    ctx.ensures(&db, 0).await?;
    let identities = db
        .list("select relname || ' ' || relreplident::text || ' ' || (select count(*) from pg_index where indrelid = c.oid and indisreplident) \
               from pg_class c where relispartition and relkind = 'r' order by 1")
        .await?;
    same(
        identities[..2].to_vec(),
        ["R%i'd_2026_02 i 1", "R%i'd_2026_03 i 1"]
            .map(str::to_owned)
            .to_vec(),
    )?;
    ensure!(identities[2].starts_with("n_2026 n"), "{identities:?}");
    Ok(())
}

async fn a_tablespace_and_an_access_method_follow(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    let folder = db.cluster.data().join(format!("space_{pid}"));
    // The server's user must own it: let the server make it.
    db.run(&format!(
        "copy (select 1) to program 'mkdir -m 700 \"{}\"'",
        folder.display()
    ))
    .await?;
    db.run(&format!(
        "create tablespace space_{pid} location '{}'",
        folder.display()
    ))
    .await?;
    db.run(&format!(
        "create table t (at date) partition by range (at) tablespace space_{pid}"
    ))
    .await?;
    if ctx.major >= 17 {
        db.run(&format!("create access method heap_{pid} type table handler heap_tableam_handler; alter table t set access method heap_{pid}"))
            .await?;
    }
    ctx.plan("partitions:\n  - { table: t, every: year, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    same(
        db.list("select distinct spcname::text from pg_class c join pg_tablespace s on s.oid = reltablespace where relispartition").await?,
        vec![format!("space_{pid}")],
    )?;
    let method = db.list("select distinct amname::text from pg_class c join pg_am a on a.oid = relam where relispartition").await?;
    same(
        method,
        vec![if ctx.major >= 17 {
            format!("heap_{pid}")
        } else {
            "heap".to_owned()
        }],
    )?;
    db.run("drop table t").await?;
    db.run(&format!("drop tablespace space_{pid}")).await
}

async fn identity_columns_keep_one_sequence(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table i (id bigint generated by default as identity, at date not null) partition by range (at); \
         create table s (id bigserial, at date not null) partition by range (at)",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: i, every: month }\n  - { table: s, every: month }")?;
    ctx.ensures(&db, 0).await?;
    same(db.value::<i64>("select count(*) from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace").await?, 2)?;
    db.run("insert into i (at) values ('2026-02-01'), ('2026-03-01'), ('2026-04-01'); insert into s (at) select at from i").await?;
    same(
        db.list("select id::text from i order by at").await?,
        ["1", "2", "3"].map(str::to_owned).to_vec(),
    )
}
