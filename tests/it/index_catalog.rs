//! Indexes are read back as they were created, without strong locks, whatever else goes on.
#![expect(
    clippy::disallowed_methods,
    reason = "tests run statements beside the reader themselves"
)]

use anyhow::{Context as _, Result, ensure};
use dbops::catalog::TableScope;
use dbops::catalog::index_model::{
    IndexCatalog, IndexedTable, LiveConstraintKind, LiveIndex, TableKind,
};
use dbops::catalog::indexes::{IndexScope, read};
use dbops::ident::QualifiedName;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::common::{Ctx, Db, eventually, same, tests};

tests!(
    Every: indexes_are_read_back_as_they_were_created,
    a_partition_tree_comes_along_from_its_root,
    names_of_indexes_bring_their_tables,
    leftovers_and_half_dropped_indexes_are_told_apart,
    builds_in_flight_are_seen,
    a_role_with_few_rights_reads_what_it_may,
    reading_takes_access_share_at_most,
    an_index_dropped_meanwhile_is_left_out,
    a_standby_is_read,
);

/// Every kind of index, flag and name.
const RICH: &str = r#"
create schema "App Schema";
create table "App Schema"."Post" (
    id bigint primary key,
    "authorId" bigint not null,
    title text collate "C",
    body varchar(200),
    tags int[],
    "createdAt" timestamptz not null default now(),
    during tstzrange,
    constraint "Post_title_key" unique (title, id) deferrable,
    constraint post_excl exclude using gist (during with &&)
);
create index "Post_authorId_createdAt_idx" on "App Schema"."Post" ("authorId", "createdAt" desc nulls last)
    include (title) with (fillfactor = 70);
create index "say ""hi""" on "App Schema"."Post" (lower(body) text_pattern_ops) where body is not null;
create index "two
lines" on "App Schema"."Post" (title collate "POSIX");
create unique index "Post_identity" on "App Schema"."Post" ("authorId", id);
create index post_tags on "App Schema"."Post" using gin (tags) with (fastupdate = off);
create index post_hash on "App Schema"."Post" using hash (id);
create index post_brin on "App Schema"."Post" using brin ("createdAt");
alter table "App Schema"."Post" replica identity using index "Post_identity";
alter table "App Schema"."Post" cluster on "Post_pkey";
comment on index "App Schema"."Post_identity" is 'who';
alter index "App Schema"."say ""hi""" alter column 1 set statistics 777;
create table comments (
    id int primary key,
    post_id bigint constraint comments_post_fkey references "App Schema"."Post"
);
create materialized view totals as select 1 as one, 'x'::text as two;
create unique index totals_one on totals (one);
create view a_view as select 1 as one;
insert into comments select g, null from generate_series(1, 500) g;
analyze comments;
create temp table gone (id int primary key);
"#;

fn name(schema: &str, name: &str) -> QualifiedName {
    QualifiedName::new(schema, name)
}

fn named(names: &[(&str, &str)]) -> IndexScope {
    IndexScope {
        tables: TableScope::Named(names.iter().map(|(s, n)| name(s, n)).collect()),
        names: Vec::new(),
    }
}

pub(crate) fn all() -> IndexScope {
    IndexScope {
        tables: TableScope::All,
        names: Vec::new(),
    }
}

/// The settings and the transaction that reading asks of its caller.
pub(crate) async fn begin(client: &mut Client) -> Result<Transaction<'_>> {
    client
        .batch_execute("set search_path = ''; set timezone = 'UTC'; set datestyle = 'ISO, YMD'")
        .await?;
    let builder = client.build_transaction().read_only(true);
    Ok(builder
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await?)
}

async fn read_with(mut client: Client, scope: &IndexScope) -> Result<IndexCatalog> {
    let tx = begin(&mut client).await?;
    read(&tx, scope).await
}

pub(crate) async fn read_db(db: &Db, scope: &IndexScope) -> Result<IndexCatalog> {
    read_with(db.connect().await?, scope).await
}

fn table<'a>(catalog: &'a IndexCatalog, schema: &str, table: &str) -> Result<&'a IndexedTable> {
    let wanted = name(schema, table);
    catalog
        .tables
        .iter()
        .find(|table| table.name == wanted)
        .with_context(|| format!("{wanted} was not read"))
}

fn index<'a>(table: &'a IndexedTable, index: &str) -> Result<&'a LiveIndex> {
    table
        .indexes
        .iter()
        .find(|of| of.name.name == index)
        .with_context(|| format!("{index:?} was not read"))
}

fn names<'a>(list: impl IntoIterator<Item = &'a QualifiedName>) -> Vec<String> {
    list.into_iter().map(ToString::to_string).collect()
}

async fn indexes_are_read_back_as_they_were_created(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(RICH).await?;
    let catalog = read_db(&db, &all()).await?;
    same(
        names(catalog.tables.iter().map(|table| &table.name)),
        vec![
            "\"App Schema\".\"Post\"".to_owned(),
            "public.comments".to_owned(),
            "public.totals".to_owned(),
        ],
    )?;
    same(catalog.default_tablespace.as_str(), "pg_default")?;
    ensure!(catalog.tablespaces.contains(&"pg_default".to_owned()));
    ensure!(catalog.opclasses.iter().any(|op| op.method == "btree"
        && op.name == "text_pattern_ops"
        && op.type_name == "text"
        && !op.default));
    ensure!(catalog.running.is_empty() && catalog.others.is_empty());

    let post = table(&catalog, "App Schema", "Post")?;
    ensure!(post.owns && post.creates && post.readable && !post.temporary);
    same(post.kind, TableKind::Table)?;
    let columns: Vec<_> = post
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.type_name.as_str(), c.not_null, c.width))
        .collect();
    same(
        columns,
        vec![
            ("id", "bigint", true, Some(8)),
            ("authorId", "bigint", true, Some(8)),
            ("title", "text", false, None),
            ("body", "character varying(200)", false, None),
            ("tags", "integer[]", false, None),
            ("createdAt", "timestamp with time zone", true, Some(8)),
            ("during", "tstzrange", false, None),
        ],
    )?;
    same(
        post.columns[2].collation.clone(),
        Some(("pg_catalog".to_owned(), "C".to_owned())),
    )?;
    same(post.rows_estimate, Some(0))?;
    same(
        post.indexes.iter().map(|i| i.name.name.as_str()).collect(),
        vec![
            "Post_authorId_createdAt_idx",
            "Post_identity",
            "Post_pkey",
            "Post_title_key",
            "post_brin",
            "post_excl",
            "post_hash",
            "post_tags",
            "say \"hi\"",
            "two\nlines",
        ],
    )?;

    let by_author = index(post, "Post_authorId_createdAt_idx")?;
    same(
        by_author.definition.as_str(),
        "CREATE INDEX \"Post_authorId_createdAt_idx\" ON \"App Schema\".\"Post\" USING btree \
         (\"authorId\", \"createdAt\" DESC NULLS LAST) INCLUDE (title) WITH (fillfactor='70')",
    )?;
    same(by_author.keys.len(), 2)?;
    same(by_author.reloptions["fillfactor"].as_str(), "70")?;
    ensure!(by_author.valid && by_author.ready && by_author.live && by_author.immediate);
    same(by_author.scans, Some(0))?;
    ensure!(by_author.bytes > 0 && by_author.constraint.is_none());

    let lower = index(post, "say \"hi\"")?;
    same(lower.keys[0].column.clone(), None)?;
    same(lower.keys[0].opclass.1.as_str(), "text_pattern_ops")?;
    same(lower.statistics.get(&1).copied(), Some(777))?;
    let two = index(post, "two\nlines")?;
    same(
        two.keys[0].collation.clone(),
        Some(("pg_catalog".to_owned(), "POSIX".to_owned())),
    )?;

    let primary = index(post, "Post_pkey")?;
    let constraint = primary.constraint.clone().context("no constraint")?;
    same(constraint.kind, LiveConstraintKind::Primary)?;
    ensure!(primary.clustered);
    same(
        names(&primary.referenced_by),
        vec!["public.comments".to_owned()],
    )?;
    let title = index(post, "Post_title_key")?;
    let constraint = title.constraint.clone().context("no constraint")?;
    same(
        (constraint.kind, constraint.deferrable),
        (LiveConstraintKind::Unique, true),
    )?;
    ensure!(!title.immediate);
    let excluded = index(post, "post_excl")?.constraint.clone();
    same(
        excluded.context("no constraint")?.kind,
        LiveConstraintKind::Exclusion,
    )?;
    let identity = index(post, "Post_identity")?;
    ensure!(identity.replica_identity && identity.comment.as_deref() == Some("who"));

    let comments = table(&catalog, "public", "comments")?;
    same(comments.rows_estimate, Some(500))?;
    ensure!(comments.bytes > 0);
    let key = &comments.foreign_keys[0];
    same(
        (key.name.as_str(), key.references.to_string(), &key.columns),
        (
            "comments_post_fkey",
            "\"App Schema\".\"Post\"".to_owned(),
            &vec!["post_id".to_owned()],
        ),
    )?;
    same(comments.columns[0].n_distinct, Some(-1.0))?;
    same(comments.columns[1].null_fraction, Some(1.0))?;
    same(
        table(&catalog, "public", "totals")?.kind,
        TableKind::MaterializedView,
    )
}

/// Three levels, one leaf in another schema, one foreign partition.
const TREE: &str = "
create schema parts;
create table events (id bigint, at date not null, kind text, primary key (id, at, kind)) partition by range (at);
create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01') partition by list (kind);
create table parts.events_1_a partition of events_1 for values in ('a');
create table events_1_b partition of events_1 for values in ('b');
create table events_2 partition of events for values from ('2025-01-01') to ('2026-01-01');
create index events_kind on events (kind, lower(kind));
create index on only events (at);
create table other (id int primary key);
create table old_style (id int); create table heir () inherits (old_style);
";

async fn a_partition_tree_comes_along_from_its_root(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TREE).await?;
    let catalog = read_db(
        &db,
        &named(&[("public", "events"), ("public", "old_style")]),
    )
    .await?;
    same(
        names(catalog.tables.iter().map(|table| &table.name)),
        [
            "parts.events_1_a",
            "public.events",
            "public.events_1",
            "public.events_1_b",
            "public.events_2",
            "public.old_style",
        ]
        .map(str::to_owned)
        .to_vec(),
    )?;
    let root = table(&catalog, "public", "events")?;
    same(root.kind, TableKind::Partitioned)?;
    same(root.partition_key.clone(), vec![Some("at".to_owned())])?;
    same(
        names(&root.partitions),
        vec!["public.events_1".to_owned(), "public.events_2".to_owned()],
    )?;
    same((root.bytes, root.rows_estimate), (0, None))?;
    let invalid = index(root, "events_at_idx")?;
    ensure!(invalid.partitioned && !invalid.valid && invalid.scans.is_none());
    ensure!(index(root, "events_kind")?.valid);

    let leaf = table(&catalog, "parts", "events_1_a")?;
    same(leaf.parent.clone(), Some(name("public", "events_1")))?;
    let below = index(leaf, "events_1_a_kind_lower_idx")?;
    same(
        below.parent.clone(),
        Some(name("public", "events_1_kind_lower_idx")),
    )?;
    ensure!(below.scans == Some(0) && !below.partitioned);

    let catalog = read_db(&db, &named(&[("public", "events_1_b")])).await?;
    same(catalog.tables.len(), 1)?;
    same(
        catalog.tables[0].parent.clone(),
        Some(name("public", "events_1")),
    )
}

async fn names_of_indexes_bring_their_tables(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TREE).await?;
    db.run("create sequence taken; create view seen as select 1 as one; create schema s2; create table s2.t (id int primary key)")
        .await?;
    let scope = IndexScope {
        tables: TableScope::Named(vec![name("public", "other"), name("public", "seen")]),
        names: vec![
            name("s2", "t_pkey"),
            name("public", "taken"),
            name("public", "events_2"),
            name("public", "nobody"),
            name("public", "taken"),
        ],
    };
    let catalog = read_db(&db, &scope).await?;
    same(
        names(catalog.tables.iter().map(|table| &table.name)),
        ["public.other", "public.seen", "s2.t"]
            .map(str::to_owned)
            .to_vec(),
    )?;
    same(table(&catalog, "public", "seen")?.kind, TableKind::Other)?;
    let others: Vec<_> = catalog
        .others
        .iter()
        .map(|other| (other.name.to_string(), other.kind.as_str()))
        .collect();
    same(
        others,
        vec![
            ("public.events_2".to_owned(), "table"),
            ("public.taken".to_owned(), "sequence"),
        ],
    )
}

async fn leftovers_and_half_dropped_indexes_are_told_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table t (a int, b int); insert into t values (1, 1), (1, 2); create index half on t (b)")
        .await?;
    // Each statement alone: none of them runs inside a transaction block.
    ensure!(
        db.run("create unique index concurrently dead on t (a)")
            .await
            .is_err()
    );
    let mut reader = db.connect().await?;
    let holder = reader.transaction().await?;
    holder.batch_execute("select * from t").await?;
    db.run("set lock_timeout = '100ms'").await?;
    ensure!(db.run("drop index concurrently half").await.is_err());
    holder.rollback().await?;
    let catalog = read_db(&db, &all()).await?;
    let of = table(&catalog, "public", "t")?;
    let dead = index(of, "dead")?;
    ensure!(!dead.valid && !dead.ready && dead.live, "{dead:?}");
    let half = index(of, "half")?;
    ensure!(!half.valid && half.ready && half.live, "{half:?}");
    ensure!(catalog.running.is_empty(), "{:?}", catalog.running);
    Ok(())
}

async fn builds_in_flight_are_seen(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table t (a int); insert into t select generate_series(1, 1000); create table u (a int)")
        .await?;
    let role = format!("{}_few", db.name);
    db.run(&format!("create role \"{role}\"")).await?;
    // A writer of the table keeps the build waiting, with the table's lock in hand.
    let mut writer = db.connect().await?;
    let holder = writer.transaction().await?;
    holder.batch_execute("insert into t values (0)").await?;
    let builder = db.connect().await?;
    builder
        .batch_execute("set application_name = 'deploy 7'")
        .await?;
    let building = builder.batch_execute("create index concurrently t_a on t (a)");
    let looking = async {
        eventually("the build is seen", async || {
            let catalog = read_db(&db, &all()).await?;
            Ok(catalog.running.iter().any(|build| build.index.is_some()))
        })
        .await?;
        let catalog = read_db(&db, &all()).await?;
        let build = catalog
            .running
            .iter()
            .find(|build| build.index.is_some())
            .context("no build")?;
        same(build.table.to_string(), "public.t".to_owned())?;
        same(
            build.index.as_ref().map(ToString::to_string),
            Some("public.t_a".to_owned()),
        )?;
        same(build.application.as_deref(), Some("deploy 7"))?;
        same(build.command.as_str(), "CREATE INDEX CONCURRENTLY")?;
        same(build.phase.as_str(), "waiting for writers before build")?;
        ensure!(build.seconds.is_some_and(|seconds| seconds >= 0.0));

        let few = db.connect().await?;
        few.batch_execute(&format!("set role \"{role}\"")).await?;
        let catalog = read_with(few, &all()).await?;
        let build = catalog.running.first().context("no build for the role")?;
        same(build.table.to_string(), "public.t".to_owned())?;
        same(build.application.as_deref(), Some("deploy 7"))?;
        same(build.command.as_str(), "hidden from this role")?;
        holder.rollback().await?;
        Ok(())
    };
    let (built, looked) = futures_util::join!(building, looking);
    looked?;
    built?;
    let catalog = read_db(&db, &all()).await?;
    ensure!(catalog.running.is_empty(), "{:?}", catalog.running);
    db.run(&format!("drop role \"{role}\"")).await
}

async fn a_role_with_few_rights_reads_what_it_may(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(RICH).await?;
    let role = format!("{}_few", db.name);
    db.run(&format!(
        "create role \"{role}\"; grant select on comments to \"{role}\"; create table mine (id int primary key); alter table mine owner to \"{role}\""
    ))
    .await?;
    let client = db.connect().await?;
    client
        .batch_execute(&format!("set role \"{role}\""))
        .await?;
    let catalog = read_with(client, &all()).await?;
    same(catalog.tables.len(), 4)?;
    let post = table(&catalog, "App Schema", "Post")?;
    ensure!(!post.owns && !post.creates && !post.readable);
    same(post.indexes.len(), 10)?;
    let comments = table(&catalog, "public", "comments")?;
    ensure!(!comments.owns && comments.readable);
    same(comments.columns[0].n_distinct, Some(-1.0))?;
    same(comments.creates, ctx.major < 15)?;
    let mine = table(&catalog, "public", "mine")?;
    ensure!(mine.owns && mine.readable);
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}

async fn reading_takes_access_share_at_most(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(RICH).await?;
    db.run("begin; lock table comments in exclusive mode")
        .await?;
    let mut client = db.connect().await?;
    let pid: i32 = client
        .query_one("select pg_backend_pid()", &[])
        .await?
        .try_get(0)?;
    let tx = begin(&mut client).await?;
    let catalog = read(&tx, &all()).await?;
    ensure!(table(&catalog, "public", "comments")?.bytes > 0);
    let modes: Vec<String> = db
        .client
        .query(
            "select distinct mode from pg_locks where pid = $1 and locktype = 'relation' and mode <> 'AccessShareLock'",
            &[&pid],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    same(modes, Vec::<String>::new())?;
    tx.rollback().await?;
    // Behind ACCESS EXCLUSIVE the indexes are unknown, which is not the same as not there.
    db.run("lock table comments in access exclusive mode")
        .await?;
    client.batch_execute("set lock_timeout = '50ms'").await?;
    let tx = begin(&mut client).await?;
    let error = read(&tx, &all()).await.err().context("no error")?;
    ensure!(format!("{error:?}").contains("lock timeout"), "{error:#}");
    db.run("rollback").await
}

async fn an_index_dropped_meanwhile_is_left_out(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table t (a int, b text); create index t_a on t (a); create index t_b on t (lower(b)); create table u (b text); create index u_b on u (lower(b))")
        .await?;
    let mut client = db.connect().await?;
    let tx = begin(&mut client).await?;
    tx.query_typed("select 1", &[]).await?;
    db.run("drop index t_a; drop table u").await?;
    let catalog = read(&tx, &all()).await?;
    let of = table(&catalog, "public", "t")?;
    same(
        of.indexes.iter().map(|i| i.name.name.as_str()).collect(),
        vec!["t_b"],
    )?;
    ensure!(table(&catalog, "public", "u")?.indexes.is_empty());
    Ok(())
}

async fn a_standby_is_read(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let client = primary.connect("postgres").await?;
    client
        .batch_execute(
            "create table t (id int primary key, b text); create index t_b on t (lower(b))",
        )
        .await?;
    let standby = primary.standby("beside").start().await?;
    eventually("the standby has replayed", async || {
        let client = standby.connect("postgres").await?;
        let catalog = read_with(client, &all()).await?;
        Ok(catalog.server.in_recovery
            && catalog
                .tables
                .iter()
                .any(|table| table.indexes.len() == 2 && table.indexes.iter().all(|i| i.valid)))
    })
    .await
}
