//! Partitions on their way out: a detach that is pending, tables that were detached.

use anyhow::{Result, ensure};
use dbops::catalog::{Sizes, facts_detached, read};

use crate::common::{Ctx, tests};

use crate::catalog::*;

tests!(Every: a_pending_detach_is_seen, detached_tables_are_found_with_what_depends_on_them);

async fn a_pending_detach_is_seen(ctx: &Ctx) -> Result<()> {
    if ctx.major < 14 {
        return Ok(()); // DETACH CONCURRENTLY begins with 14.
    }
    let db = ctx.db().await?;
    db.run("create table m (at date) partition by range (at)")
        .await?;
    db.run("create table m_1 partition of m for values from ('2024-01-01') to ('2024-02-01')")
        .await?;
    let mut holder = db.connect().await?;
    let held = holder.transaction().await?;
    held.query_typed("select from m", &[]).await?;
    db.run("set statement_timeout = '300ms'").await?;
    let interrupted = db
        .run("alter table m detach partition m_1 concurrently")
        .await;
    ensure!(interrupted.is_err(), "the detach was not interrupted");
    held.rollback().await?;
    let catalog = read_all(&db).await?;
    let partition = &find(&catalog, "public", "m")?.partitions[0];
    assert!(partition.detach_pending);
    assert_eq!(
        partition.bound,
        "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')"
    );
    Ok(())
}

async fn detached_tables_are_found_with_what_depends_on_them(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table target (id int primary key);
         create table parent (id int references target, at date, primary key (id, at)) partition by range (at);
         create table old partition of parent for values from ('2023-01-01') to ('2024-01-01');
         alter table parent detach partition old;
         comment on table old is E'words\n[dbops:detached {}]';
         create policy own on old using (id > 0);
         create index on old (at);
         create table points (id int, at date, foreign key (id, at) references old);
         create view looks as select * from old;
         create function takes(old) returns int language sql as 'select 1';
         create table other (id int); comment on table other is 'dbops:detached';
         create table kept partition of parent for values from ('2024-01-01') to ('2025-01-01');
         comment on table kept is '[dbops:detached {}]'",
    )
    .await?;
    let catalog = read_all(&db).await?;
    assert_eq!(catalog.detached.len(), 1, "{:?}", catalog.detached);
    let old = &catalog.detached[0];
    assert_eq!(old.name, name("public", "old"));
    assert_eq!(old.mark, "words\n[dbops:detached {}]");
    assert!(old.owned && old.bytes.is_none());
    assert_eq!(old.foreign_keys_out[0].table, name("public", "target"));
    assert_eq!(old.foreign_keys_in[0].table, name("public", "points"));
    assert_eq!(
        old.dependents,
        ["function public.takes(public.old)", "view public.looks"]
    );
    let lines = facts_detached(old);
    assert!(
        lines
            .iter()
            .any(|line| line == "dependent view public.looks"),
        "{lines:?}"
    );

    let mut client = db.connect().await?;
    let tx = begin(&mut client).await?;
    let measured = read(&tx, &everything(Sizes::Measure)).await?;
    assert!(measured.detached[0].bytes.is_some_and(|bytes| bytes > 0));
    Ok(())
}
