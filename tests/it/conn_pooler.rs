//! Connections through PgBouncer: told apart by its mode, read through, left as they were.

use anyhow::{Context as _, Result, ensure};
use dbops::conn::{PoolMode, Purpose, begin_read, connect, connect_console};
use dbops::failure::{Exit, exit_of, hints_of};
use dbops::sandbox::{Auth, Cluster, PgBouncer};

use crate::common::{Ctx, tests};

use crate::conn::*;

tests!(
    Ends: a_session_pool_is_told_from_a_transaction_pool,
    a_transaction_pool_is_left_as_it_was,
    a_round_robin_pool_is_told_as_well,
    a_full_pool_is_not_believed_to_keep_sessions,
    the_console_of_a_pooler_answers,
);

async fn pool(ctx: &Ctx, cluster: &Cluster, config: &[(&str, &str)]) -> Result<PgBouncer> {
    let mut builder = PgBouncer::builder(ctx.pgbouncer()?, cluster);
    for (name, value) in config {
        builder = builder.config(*name, *value);
    }
    builder.start().await
}

async fn a_session_pool_is_told_from_a_transaction_pool(ctx: &Ctx) -> Result<()> {
    for auth in [Auth::Trust, Auth::Scram] {
        let cluster = ctx.private_cluster()?.auth(auth).start().await?;
        let direct = connect(&settings(&cluster.url())?, Purpose::Write).await?;
        ensure!(direct.pooler().is_none());
        let session_pool = pool(ctx, &cluster, &[("pool_mode", "session")]).await?;
        let through = settings(&session_pool.url_for("postgres"))?;
        for purpose in [Purpose::Read, Purpose::Write, Purpose::Lock] {
            let session = connect(&through, purpose).await?;
            let mode = session.pooler().map(|pooler| pooler.mode);
            ensure!(mode == Some(PoolMode::Session), "{purpose:?}: {mode:?}");
            let zone = setting(&session, "TimeZone").await?;
            ensure!(zone == "UTC");
        }
        let transaction_pool = pool(ctx, &cluster, &[("pool_mode", "transaction")]).await?;
        let through = settings(&transaction_pool.url_for("postgres"))?;
        for purpose in [Purpose::Write, Purpose::Lock] {
            let error = refused(&through, purpose).await?;
            ensure!(exit_of(&error) == Exit::Refused, "{error:?}");
            ensure!(error.to_string().contains("transaction mode"));
            ensure!(hints_of(&error).join(" ").contains("direct connection"));
        }
        let session = connect(&through, Purpose::Read).await?;
        let mode = session.pooler().map(|pooler| pooler.mode);
        ensure!(mode == Some(PoolMode::Transaction), "{mode:?}");
    }
    Ok(())
}

async fn a_transaction_pool_is_left_as_it_was(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("timezone", "Asia/Kolkata")
        .start()
        .await?;
    let pool = pool(ctx, &cluster, &[("default_pool_size", "1")]).await?;
    let through = settings(&pool.url_for("postgres"))?;
    for _ in 0..20 {
        let mut session = connect(&through, Purpose::Read).await?;
        let transaction = begin_read(&mut session).await?;
        let rows = transaction
            .query_typed(
                "select current_setting('TimeZone'), current_setting('statement_timeout'), current_setting('transaction_isolation')",
                &[],
            )
            .await?;
        let row = rows.first().context("no row")?;
        let found: [&str; 3] = [row.get(0), row.get(1), row.get(2)];
        ensure!(found == ["UTC", "1min", "repeatable read"], "{found:?}");
        transaction.commit().await?;
        session.close().await;
    }
    // Another client on the one server connection finds what the server is configured to.
    let config: tokio_postgres::Config = pool.url_for("postgres").parse()?;
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let rows = client
        .query_typed(
            "select current_setting('search_path'), current_setting('statement_timeout'),
                    current_setting('lock_timeout'), current_setting('default_transaction_read_only'),
                    (select count(*) from pg_prepared_statements)::text,
                    (select count(*) from pg_locks where locktype = 'advisory')::text",
            &[],
        )
        .await?;
    let row = rows.first().context("no row")?;
    let found: Vec<&str> = (0..6).map(|index| row.get(index)).collect();
    ensure!(
        found == ["\"$user\", public", "0", "0", "off", "0", "0"],
        "{found:?}"
    );
    Ok(())
}

async fn a_round_robin_pool_is_told_as_well(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let pool = pool(
        ctx,
        &cluster,
        &[
            ("server_round_robin", "1"),
            ("min_pool_size", "5"),
            ("default_pool_size", "5"),
        ],
    )
    .await?;
    let through = settings(&pool.url_for("postgres"))?;
    for _ in 0..5 {
        let session = connect(&through, Purpose::Read).await?;
        let mode = session.pooler().map(|pooler| pooler.mode);
        ensure!(mode == Some(PoolMode::Transaction), "{mode:?}");
    }
    Ok(())
}

async fn a_full_pool_is_not_believed_to_keep_sessions(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let pool = pool(
        ctx,
        &cluster,
        &[("pool_mode", "session"), ("default_pool_size", "1")],
    )
    .await?;
    let through = settings(&pool.url_for("postgres"))?;
    let mut session = connect(&through, Purpose::Read).await?;
    let mode = session.pooler().map(|pooler| pooler.mode);
    ensure!(mode == Some(PoolMode::Unknown), "{mode:?}");
    begin_read(&mut session).await?.commit().await?;
    session.close().await;
    let error = refused(&through, Purpose::Write).await?;
    ensure!(exit_of(&error) == Exit::Refused, "{error:?}");
    Ok(())
}

async fn the_console_of_a_pooler_answers(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let pool = pool(ctx, &cluster, &[]).await?;
    let console = connect_console(&settings(&pool.admin_url())?).await?;
    #[expect(clippy::disallowed_methods, reason = "the console knows nothing else")]
    let messages = console.simple_query("show version").await?;
    ensure!(!messages.is_empty());
    Ok(())
}
