//! `indexes advise` against real servers: each detector with what it must find and what it must not.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their databases and hold transactions open"
)]

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, eventually, tests};

tests!(
    Every: duplicates_are_found_without_a_false_positive,
    what_looks_unused_is_told_apart,
    invalid_indexes_are_told_apart,
    a_running_build_is_left_alone,
    a_missing_foreign_key_index_is_found_and_written_as_a_plan,
    updates_that_are_not_hot_are_found,
);

/// Runs `indexes advise` with JSON output.
async fn advise(ctx: &Ctx, db: &Db, args: &[&str]) -> Result<Value> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["indexes", "advise", "-o", "json"])
        .args(args)
        .run()
        .await?;
    let report = run.exits_with(0)?.json()?;
    ensure!(report["format"] == "dbops.advice/1", "{report:#}");
    Ok(report)
}

fn findings(report: &Value) -> Vec<&Value> {
    let findings = report["targets"][0]["findings"].as_array();
    findings.into_iter().flatten().collect()
}

/// `kind verdict index`, or the table's name where there is no index; of these kinds.
fn told(report: &Value, kinds: &[&str]) -> BTreeSet<String> {
    findings(report)
        .into_iter()
        .filter(|one| kinds.contains(&one["kind"].as_str().unwrap_or_default()))
        .map(|one| {
            let what = one["index"].as_str().or(one["table"].as_str());
            let what = what.unwrap_or_default().trim_start_matches("public.");
            let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {what}", word("kind"), word("verdict"))
        })
        .collect()
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|&one| one.to_owned()).collect()
}

fn of<'a>(report: &'a Value, index: &str) -> Result<&'a Value> {
    let named = |one: &&Value| one["index"] == index || one["table"] == index;
    let found = findings(report).into_iter().find(named);
    found.with_context(|| format!("nothing about {index} in {report:#}"))
}

async fn duplicates_are_found_without_a_false_positive(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        r#"
        create table t (
            id bigint primary key, a int, b int, c text, d int, v varchar(9), r int4range, j jsonb,
            exclude using gist (r with &&)
        );
        create index t_a_b on t (a, b);
        create index t_a on t (a);
        create index t_a_b_twin on t (a, b);
        create index t_a_b_mixed on t (a, b desc);
        create index t_ad_bd on t (a desc, b desc);
        create index t_b on t (b);
        create index t_b_nulls on t (b desc nulls last);
        create index t_d_hash on t using hash (d);
        create index t_d_include on t (d) include (b);
        create index t_c on t (c);
        create index t_c_pattern on t (c text_pattern_ops);
        create index t_c_collate on t (c collate "C");
        create index t_c_partial on t (c) where d > 5;
        create index t_c_partial_twin on t (c) where (5 < d);
        create unique index t_id_unique on t (id);
        create index t_v on t (d) where v in ('x', 'y');
        create index t_v_twin on t (d) where v::text = any (array['x'::varchar, 'y'::varchar]::text[]);
        create index t_lower on t (lower(c));
        create index t_lower_b on t (lower(c), b);
        create index t_r on t using gist (r);
        create index t_j on t using gin (j);
        create index t_j_path on t using gin (j jsonb_path_ops);
        create index t_brin on t using brin (a);
        create index t_brin_fine on t using brin (a) with (pages_per_range = 8);
        create table p (id int, a int, b int) partition by list (id);
        create table p1 partition of p for values in (1);
        create table p2 partition of p for values in (2);
        create index p_a on p (a);
        create index p_a_b on p (a, b);
        create index p1_own on p1 (b);
        "#,
    )
    .await?;
    let kinds = ["duplicate", "reverse-duplicate", "redundant-prefix"];
    let report = advise(ctx, &db, &[]).await?;
    let expected = set(&[
        "redundant-prefix advice t_a",
        "duplicate advice t_a_b_twin",
        "reverse-duplicate advice t_ad_bd",
        "duplicate advice t_id_unique",
        "duplicate advice t_v_twin",
        "redundant-prefix advice t_lower",
        "redundant-prefix advice p_a",
    ]);
    let found = told(&report, &kinds);
    // A plain GiST index does what the exclusion constraint's index does.
    let with_gist = &expected | &set(&["duplicate advice t_r"]);
    ensure!(found == with_gist, "{found:#?}");
    ensure!(
        of(&report, "public.p_a")?["next"][0]
            .as_str()
            .is_some_and(|step| !step.contains("concurrently"))
    );
    // Acting on all of it leaves nothing to act on.
    for finding in findings(&report) {
        if finding["verdict"] == "advice" {
            db.run(finding["next"][0].as_str().context("no statement")?)
                .await?;
        }
    }
    let report = advise(ctx, &db, &[]).await?;
    ensure!(told(&report, &kinds).is_empty(), "{report:#}");
    Ok(())
}

async fn what_looks_unused_is_told_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table parent (id int primary key);
         create table t (id bigint primary key, u int unique, a int, b int, c int references parent, e int, r int4range,
             exclude using gist (r with &&));
         create index t_used on t (a);
         create index t_idle on t (b);
         create index t_c on t (c);
         create unique index t_rule on t (e);
         create table m (id int not null, a int);
         create unique index m_identity on m (id);
         alter table m replica identity using index m_identity;
         create table p (id int, a int, b int) partition by list (id);
         create table p1 partition of p for values in (1);
         create table p2 partition of p for values in (2);
         create index p_used on p (a);
         create index p_idle on p (b);
         insert into t (id, a) select n, n from generate_series(1, 100) as n;
         insert into p select 2, n, n from generate_series(1, 100) as n;
         set enable_seqscan = off;
         set enable_bitmapscan = off;
         select from t where a = 5;
         select from p2 where a = 5;",
    )
    .await?;
    eventually("the scans are counted", async || {
        db.run("select 1").await?;
        db.value(
            "select count(*) = 2 from pg_stat_user_indexes where indexrelname in ('t_used', 'p2_a_idx') and idx_scan > 0",
        )
        .await
    })
    .await?;
    let report = advise(ctx, &db, &["--min-age", "0"]).await?;
    let found = told(&report, &["unused"]);
    let expected = set(&[
        "unused advice t_idle",
        "unused advice p_idle",
        "unused keep t_c",
        "unused keep t_rule",
        "unused keep t_u_key",
        "unused keep t_r_excl",
        "unused keep m_identity",
        "unused keep t_pkey",
        "unused keep parent_pkey",
    ]);
    ensure!(found == expected, "{found:#?}");
    ensure!(
        of(&report, "public.t_pkey")?["summary"]
            .as_str()
            .is_some_and(|text| text.contains("enforces PRIMARY KEY"))
    );
    // With a limit that has passed already, what was scanned is unused too, where the server dates scans.
    let report = advise(ctx, &db, &["--min-age", "0", "--unused-for", "0s"]).await?;
    let dated = told(&report, &["unused"]).contains("unused advice t_used");
    ensure!(dated == (ctx.major >= 16), "{report:#}");
    // The statistics of a test's server are minutes old.
    let report = advise(ctx, &db, &[]).await?;
    let doubt = told(&report, &["unused"]);
    ensure!(doubt.contains("unused not-proven t_idle"), "{doubt:#?}");
    ensure!(
        !doubt.iter().any(|one| one.contains("advice")),
        "{doubt:#?}"
    );
    let run = ctx
        .dbops()
        .on(&db)
        .args(["indexes", "advise", "--exit-code", "--min-age", "0s"])
        .run()
        .await?
        .exits_with(1)?;
    ensure!(
        run.stdout
            .contains("do: drop index concurrently \"public\".\"t_idle\";"),
        "{}",
        run.stdout
    );
    Ok(())
}

async fn invalid_indexes_are_told_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table t (a int, b int);
         create index t_dead on t (a);
         create index t_fine on t (b);
         create index t_fine_ccnew on t (b);
         create index t_half on t (a, b);
         update pg_index set indisvalid = false where indexrelid in ('t_dead'::regclass, 't_fine_ccnew'::regclass);
         update pg_index set indisvalid = false, indisready = false, indislive = false where indexrelid = 't_half'::regclass;
         create table p (id int, a int) partition by list (id);
         create table p1 partition of p for values in (1);
         create table p2 partition of p for values in (2);
         create index p_a on only p (a);
         create index p1_a on p1 (a);
         alter index p_a attach partition p1_a;",
    )
    .await?;
    let report = advise(ctx, &db, &[]).await?;
    let found = told(&report, &["invalid", "duplicate", "redundant-prefix"]);
    let expected = set(&[
        "invalid advice t_dead",
        "invalid advice t_fine_ccnew",
        "invalid advice t_half",
        "invalid advice p_a",
    ]);
    ensure!(found == expected, "{found:#?}");
    let summary = |index: &str| -> Result<String> {
        let text = of(&report, index)?["summary"].as_str().unwrap_or_default();
        Ok(text.to_owned())
    };
    ensure!(
        summary("public.t_fine_ccnew")?
            .contains("left over from a REINDEX CONCURRENTLY of public.t_fine")
    );
    ensure!(summary("public.t_half")?.contains("half dropped"));
    ensure!(summary("public.p_a")?.contains("1 of 2 partitions"));
    // The steps do what they say, to the last one.
    for index in ["public.t_dead", "public.t_fine_ccnew", "public.p_a"] {
        let steps = of(&report, index)?["next"].as_array().cloned();
        for step in steps.into_iter().flatten() {
            let step = step.as_str().unwrap_or_default();
            if !step.starts_with("or,") {
                db.run(step).await?;
            }
        }
    }
    let left = told(&advise(ctx, &db, &[]).await?, &["invalid"]);
    ensure!(left == set(&["invalid advice t_half"]), "{left:#?}");
    Ok(())
}

async fn a_running_build_is_left_alone(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table t (a int, b int); create index t_a on t (a)")
        .await?;
    let writer = db.connect().await?;
    writer
        .batch_execute("begin; insert into t values (1, 1)")
        .await?;
    let builder = db.connect().await?;
    let build = tokio::spawn(async move {
        builder
            .batch_execute("create index concurrently t_being_built on t (a)")
            .await
    });
    eventually("the index is there and not valid", async || {
        db.value("select exists (select from pg_index where not indisvalid)")
            .await
    })
    .await?;
    let report = advise(ctx, &db, &[]).await?;
    let found = told(&report, &["invalid", "duplicate"]);
    ensure!(found == set(&["invalid keep t_being_built"]), "{report:#}");
    let finding = of(&report, "public.t_being_built")?;
    ensure!(
        finding["next"][0]
            .as_str()
            .is_some_and(|step| step.starts_with("wait")),
        "{finding:#}"
    );
    writer.batch_execute("commit").await?;
    build.await??;
    let found = told(&advise(ctx, &db, &[]).await?, &["invalid", "duplicate"]);
    ensure!(
        found.len() == 1 && found.iter().all(|one| one.starts_with("duplicate advice")),
        "{found:#?}"
    );
    Ok(())
}

async fn a_missing_foreign_key_index_is_found_and_written_as_a_plan(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        r#"create table parent (id int primary key, x int, y int, unique (x, y));
         create table "Child" ("parentId" int references parent on delete cascade, x int, y int,
             foreign key (x, y) references parent (x, y));
         create table fine (p int references parent, x int, y int, foreign key (x, y) references parent (x, y));
         create index fine_p on fine (p) where p is not null;
         create index fine_y_x on fine (y, x, p);
         create table partial (p int references parent);
         create index partial_p on partial (p) where p > 5;
         insert into parent select n, n, n from generate_series(1, 10) as n;
         delete from parent where id < 4;
         create index parent_x on parent (x);"#,
    )
    .await?;
    eventually("the deletes are counted", async || {
        db.run("select 1").await?;
        db.value("select n_tup_del = 3 from pg_stat_user_tables where relname = 'parent'")
            .await
    })
    .await?;
    let args = [
        "indexes",
        "advise",
        "-o",
        "json",
        "--write-plan",
        "advice.yaml",
    ];
    let run = ctx.dbops().on(&db).args(args).run().await?.exits_with(0)?;
    let report = run.json()?;
    let missing: Vec<&Value> = findings(&report)
        .into_iter()
        .filter(|one| one["kind"] == "foreign-key")
        .collect();
    ensure!(missing.len() == 3, "{report:#}");
    ensure!(
        missing
            .iter()
            .all(|one| one["verdict"] == "advice" && one["figures"]["parent_deletes"] == 3.0),
        "{missing:#?}"
    );
    let path = ctx.dir().join("advice.yaml");
    let text = std::fs::read_to_string(&path)?;
    for line in [
        "table: \"public.\\\"Child\\\"\"",
        "columns: [\"parentId\"]",
        "columns: [\"x\", \"y\"]",
        "table: public.partial",
        "- absent: [public.parent_x]",
        "# allow: [drops-index]",
    ] {
        ensure!(text.contains(line), "no {line} in:\n{text}");
    }
    // A file that is there stays as it is.
    let run = ctx.dbops().on(&db).args(args).run().await?.exits_with(2)?;
    ensure!(
        run.stderr.contains("advice.yaml exists already"),
        "{}",
        run.stderr
    );
    std::fs::write(&path, "mine")?;
    ctx.dbops()
        .on(&db)
        .args(args)
        .args(["--force"])
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        std::fs::read_to_string(&path)? == text,
        "replaced by something else"
    );
    // What it advises puts it right.
    for finding in missing {
        db.run(finding["next"][0].as_str().context("no statement")?)
            .await?;
    }
    let report = advise(ctx, &db, &[]).await?;
    ensure!(told(&report, &["foreign-key"]).is_empty(), "{report:#}");
    Ok(())
}

async fn updates_that_are_not_hot_are_found(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table t (id int primary key, a int, b int) with (fillfactor = 50);
         insert into t select n, n, n from generate_series(1, 11000) as n;
         create index t_a on t (a);
         create table fine (id int primary key, a int) with (fillfactor = 40);
         insert into fine select n, n from generate_series(1, 11000) as n;",
    )
    .await?;
    db.run("update t set a = a + 1").await?;
    db.run("update fine set a = a + 1").await?;
    eventually("the updates are counted", async || {
        db.run("select 1").await?;
        db.value(
            "select count(*) = 2 from pg_stat_user_tables where n_tup_upd = 11000 and relname in ('t', 'fine')",
        )
        .await
    })
    .await?;
    let report = advise(ctx, &db, &[]).await?;
    let found = told(&report, &["hot-updates"]);
    // Before 16 the server does not tell why an update was not HOT.
    let verdict = if ctx.major < 16 {
        "not-proven"
    } else {
        "advice"
    };
    ensure!(
        found == set(&[&format!("hot-updates {verdict} t")]),
        "{report:#}"
    );
    let text = of(&report, "public.t")?.to_string();
    ensure!(
        text.contains("t_a ON public.t") && !text.contains("t_pkey ON"),
        "{text}"
    );
    Ok(())
}
