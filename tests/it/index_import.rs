//! `dbops indexes import` of live databases, and the names of indexes that have none.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dbops::plan_file::load;

use crate::common::{Ctx, Db, Dbops, holds, same, tests};

tests!(Every: a_live_database_is_imported_as_it_is,
    names_are_chosen_as_the_server_chooses_them);

/// Indexes of every kind that a plan may have, and of every kind that is left out.
pub(crate) const LIVE: &str = r#"
    create schema app;
    create table app."Tbl" (id bigint, "colA" text collate "C", b text, c int[], d jsonb, e tsvector, f int4range, g timestamptz,
        constraint "Tbl_pkey" primary key (id), constraint late unique (b) deferrable, exclude using gist (f with &&));
    create index plain on app."Tbl" (b);
    create index "Quoted ""x"": #{a}" on app."Tbl" ("colA" desc nulls last, b collate "C" nulls first, b desc);
    create index opclasses on app."Tbl" (b text_pattern_ops, "colA");
    create unique index partial on app."Tbl" (lower(b), (id % 7)) include (c, g) where b in ('a', 'it''s: #') and "colA" <> E'\\x';
    create index gin_c on app."Tbl" using gin (c, d jsonb_path_ops) with (fastupdate = off, gin_pending_list_limit = 128);
    create index brin_g on app."Tbl" using brin (g) with (autosummarize = true, pages_per_range = 32);
    create index hash_b on app."Tbl" using hash (b) with (fillfactor = 60);
    create index spgist_f on app."Tbl" using spgist (f);
    create index gist_e on app."Tbl" using gist (e tsvector_ops (siglen = 100), f);
    create index cased on app."Tbl" ((case when id > 1 then b else "colA" end), (c[1]), ((d ->> 'x: y')::int));
    create index zoned on app."Tbl" ((g at time zone 'UTC'), date_trunc('day', g at time zone 'Europe/Madrid'));
    comment on index app.plain is E'two\nlines: ''x''';
    alter index app.cased alter column 1 set statistics 500;
    create table parted (id int, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table parted_1 partition of parted for values from ('2026-01-01') to ('2026-02-01');
    create index parted_at on parted (at desc, id);
    create index only_leaf on parted_1 (id);
    create materialized view mv as select id, b from app."Tbl";
    create unique index mv_id on mv (id);
"#;

fn import(ctx: &Ctx, db: &Db, words: &str) -> Dbops {
    ctx.dbops()
        .on(db)
        .args(["indexes", "import"])
        .args(words.split_whitespace())
}

/// Shows that a plan and a database agree.
pub(crate) async fn changes_nothing(ctx: &Ctx, db: &Db, plan: &Path) -> Result<()> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["indexes", "apply", "--dry-run", "--exit-code", "--plan"])
        .args([plan])
        .run()
        .await?;
    ensure!(run.status.success(), "{}{}", run.stdout, run.stderr);
    Ok(())
}

/// The definitions of a schema's indexes, without those of constraints.
async fn definitions(db: &Db) -> Result<Vec<String>> {
    db.list(
        "select pg_get_indexdef(i.indexrelid) || coalesce(obj_description(i.indexrelid), '')
             || coalesce((select string_agg(attnum || ':' || attstattarget, ',' order by attnum) from pg_attribute
                          where attrelid = i.indexrelid and attstattarget >= 0), '')
         from pg_index i join pg_class c on c.oid = i.indexrelid
         where not exists (select from pg_constraint where conindid = i.indexrelid)
             and relnamespace in (select oid from pg_namespace where nspname in ('public', 'app'))
         order by 1",
    )
    .await
}

async fn a_live_database_is_imported_as_it_is(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(LIVE).await?;
    let run = import(ctx, &db, "--from-database")
        .run()
        .await?
        .exits_with(0)?;
    for note in [
        "1 index of an exclusion constraint is left out",
        "3 indexes of a constraint are left out: see --constraints",
        "2 indexes of a partition are left out",
    ] {
        holds(&run.stderr, &[note])?;
    }
    let file = ctx.dir().join("plan.yaml");
    std::fs::write(&file, &run.stdout).context("writing the plan file")?;
    changes_nothing(ctx, &db, &file).await?;
    let loaded = load(std::slice::from_ref(&file))
        .map_err(|problems| anyhow::anyhow!("{}\n{problems}", run.stdout))?;
    same(loaded.plan.indexes.len(), 14)?;
    // Built anew from the plan alone, every index is what it was.
    let before = definitions(&db).await?;
    db.run("drop index app.plain, app.\"Quoted \"\"x\"\": #{a}\", app.opclasses, app.partial, app.gin_c, app.brin_g, app.hash_b, \
            app.spgist_f, app.gist_e, app.cased, app.zoned, parted_at, only_leaf, mv_id").await?;
    for entry in &loaded.plan.indexes {
        let spec = entry
            .spec()
            .map_err(anyhow::Error::msg)?
            .context("an index")?;
        let name = spec.name.clone().context("a name")?;
        db.run(&spec.sql(dbops::syntax::Build::Plain, &spec.table, &name))
            .await?;
        let index = dbops::ident::QualifiedName::new(spec.table.schema.as_str(), name).sql();
        if let Some(comment) = &entry.comment {
            db.run(&format!(
                "comment on index {index} is {}",
                dbops::ident::quote_literal(comment)
            ))
            .await?;
        }
        for (position, target) in entry.statistics_targets() {
            db.run(&format!(
                "alter index {index} alter column {position} set statistics {target}"
            ))
            .await?;
        }
    }
    same(definitions(&db).await?, before)?;
    changes_nothing(ctx, &db, &file).await?;

    let run = import(
        ctx,
        &db,
        "--from-database --constraints --table app.\"Tbl\"",
    )
    .run()
    .await?
    .exits_with(0)?;
    holds(
        &run.stdout,
        &[
            "name: Tbl_pkey",
            "constraint: primary",
            "name: 'Quoted \"x\": #{a}'",
        ],
    )?;
    holds(
        &run.stderr,
        &["1 index of a deferrable constraint is left out"],
    )?;
    ensure!(!run.stdout.contains("parted"), "{}", run.stdout);
    let run = import(ctx, &db, "--from-database --constraints")
        .run()
        .await?
        .exits_with(0)?;
    std::fs::write(&file, &run.stdout).context("writing the plan file")?;
    changes_nothing(ctx, &db, &file).await?;
    import(ctx, &db, "--from-database --table nowhere")
        .run()
        .await?
        .exits_with(2)?;
    Ok(())
}

async fn names_are_chosen_as_the_server_chooses_them(ctx: &Ctx) -> Result<()> {
    const UNNAMED: &str = r#"
        create index on "Tbl" ("Aa", b);
        create index on "Tbl" ("Aa", b);
        create index on "Tbl" (lower(b), lower(c), (a + 1), (a + 2)) include (c);
        create unique index on "Tbl" (a, lower(c), coalesce(b, c), (b::varchar), (a::numeric), ((a + 1)::text));
        create index on "Tbl" ((case when a > 1 then b end), (b collate "C"), (pg_catalog.upper(c)), (nullif(a, 1)), (greatest(a, 2)), ((a + 1)::bigint));
        create index on a_table_with_quite_a_long_name_for_this_test_ä (a_column_of_some_length, another_column_ä);
    "#;
    let db = ctx.db().await?;
    db.run(
        r#"create table "Tbl" ("Aa" int, a int, b text, c text);
           create table a_table_with_quite_a_long_name_for_this_test_ä (a_column_of_some_length int, another_column_ä int)"#,
    )
    .await?;
    db.run(UNNAMED).await?;
    let run = ctx
        .dbops()
        .args(["indexes", "import", "-"])
        .stdin(UNNAMED)
        .run()
        .await?
        .exits_with(0)?;
    holds(
        &run.stderr,
        &["standard input:2:9: this index has no name; `Tbl_Aa_b_idx` is"],
    )?;
    for name in db
        .list("select relname from pg_class where relkind = 'i' and relnamespace = 'public'::regnamespace")
        .await?
    {
        holds(&run.stdout, &[&format!("name: {name}\n")])?;
    }
    Ok(())
}
