//! `queries compare` with stored readings: the baseline of a release against the server after the next.

use anyhow::{Result, ensure};

use crate::common::{Ctx, Run, tests};

tests!(
    SystemOnly: a_baseline_tells_a_deploy_that_made_a_statement_slower,
);

/// What CI does after a deploy, on the statements of one database: others run on the same server.
async fn a_baseline_tells_a_deploy_that_made_a_statement_slower(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let takes = async |seconds: &str| {
        db.run(&format!(
            "create or replace function total() returns int language sql as 'select 1 from pg_sleep({seconds})'"
        ))
        .await
    };
    let work = async || -> Result<()> {
        for _ in 0..32 {
            db.run("select total()").await?;
        }
        Ok(())
    };
    let queries = async |words: &[&str]| {
        let dbops = ctx.dbops().on(&db).args(["queries"]);
        let only = ["--only-database", &db.name];
        dbops.args(words.iter().copied()).args(only).run().await
    };
    db.run("create extension pg_stat_statements").await?;
    takes("0.005").await?;
    work().await?;
    let none = queries(&["compare"]).await?.exits_with(4)?;
    ensure!(
        none.stderr.contains("no reading is stored")
            && none.stderr.contains("dbops queries snapshot"),
        "{}",
        none.stderr
    );
    queries(&["snapshot", "--name", "base"])
        .await?
        .exits_with(0)?;
    let against_base = ["compare", "--baseline", "base", "--fail-on"];
    // As fast as before, whatever else this machine does; only one is stored, so it is that one and the server now.
    work().await?;
    queries(&[&against_base[..], &["regression:400%"]].concat())
        .await?
        .exits_with(0)?;
    let alone = queries(&["compare"]).await?.exits_with(0)?;
    ensure!(alone.stdout.contains("the server now"), "{}", alone.stdout);

    takes("0.06").await?;
    work().await?;
    let failing = [&against_base[..], &["regression:20%"]].concat();
    let slower = |run: &Run| run.stdout.contains("slower") && run.stdout.contains("select total()");
    let run = queries(&failing).await?.exits_with(1)?;
    ensure!(slower(&run), "{}", run.stdout);
    let page = queries(&[&failing[..], &["-o", "html"]].concat()).await?;
    let page = page.exits_with(1)?.stdout;
    ensure!(
        page.contains("exit code 1") && page.contains("slower") && page.ends_with("</html>\n"),
        "{page}"
    );

    // The last two stored; the same by number and name, and a baseline against a stored one.
    queries(&["snapshot"]).await?.exits_with(0)?;
    for words in [
        &["compare"][..],
        &["compare", "base", "2"],
        &["compare", "1", "last"],
        &["compare", "--baseline", "base", "last"],
    ] {
        let words = [words, &["--fail-on", "regression:20%"]].concat();
        let run = queries(&words).await?.exits_with(1)?;
        ensure!(
            slower(&run) && !run.stdout.contains("the server now"),
            "{words:?}: {}",
            run.stdout
        );
    }
    let missing = queries(&["compare", "--baseline", "nobody"])
        .await?
        .exits_with(2)?;
    ensure!(missing.stderr.contains("name nobody"), "{}", missing.stderr);

    // The entries of this database began anew: fewer calls than the baseline had tell it, and no figure is negative.
    db.run("select pg_stat_statements_reset(0, (select oid from pg_database where datname = current_database()), 0)")
        .await?;
    for _ in 0..31 {
        db.run("select total()").await?;
    }
    let run = queries(&failing).await?.exits_with(1)?;
    ensure!(slower(&run), "{}", run.stdout);
    Ok(())
}
