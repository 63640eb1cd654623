//! The part of the demo that watches: rules that hold, then what is broken on purpose, then mended.

use std::ffi::OsString;

use anyhow::{Context as _, Result};

use super::scenes::{BROKEN, BROKEN_WITHOUT_POOLER, MENDED, On, Scene, WATCHED};
use super::{Context, Stage};
use crate::sandbox::PgBouncer;

const TARGET: &str = "version: 1

targets:
  demo:
    primary: { url_env: DATABASE_URL }
    replicas:
      - { name: standby, url_env: STANDBY_URL, use: reads }
";

const POOLER: &str = "    poolers:
      - { name: pgbouncer, kind: pgbouncer, url_env: PGBOUNCER_URL, fronts: primary }
";

const RULES: &str = "
rules:
  - { id: replica.state, metric: replica.state, scope: { role: replica }, expect: [streaming] }
  - { id: replica.lag, metric: replica.visible_lag, scope: { role: replica }, warn: \"> 500ms\", critical: \"> 2s\" }
  - { id: connections, metric: conn.effective_used, warn: \"> 70%\", critical: \"> 80%\" }
  - { id: invalid-indexes, metric: index.invalid, warn: \"> 0\" }
  - { id: xid, metric: xid.age, warn: \"> 500000000\", critical: \"> 1500000000\" }
";

const POOL_RULE: &str =
    "  - { id: pool.waiting, metric: pool.waiting, warn: \"> 0\", critical: \"> 2\" }\n";

impl Stage {
    /// Shows rules that hold, breaks three things, shows that they are found, and mends them.
    pub(super) async fn show_watching(&self, context: &Context) -> Result<()> {
        context.ui.result("\n# Watching.\n")?;
        let find = |name: &str| context.env.var(name).map(OsString::from);
        let pooler = match PgBouncer::find(&find) {
            Ok(program) => Some(
                PgBouncer::builder(program, &self.primary)
                    .config("default_pool_size", "1")
                    .start()
                    .await?,
            ),
            Err(_) => {
                context.ui.result(
                    "# PgBouncer is not installed (Debian, Ubuntu: apt-get install pgbouncer), so no pool is shown.\n",
                )?;
                None
            }
        };
        let plan = match pooler {
            Some(_) => format!("{TARGET}{POOLER}{RULES}{POOL_RULE}"),
            None => format!("{TARGET}{RULES}"),
        };
        std::fs::write(self.folder().join("watch.yaml"), &plan)
            .context("writing the rules of the demo")?;
        context.ui.result(&format!("$ cat watch.yaml\n{plan}"))?;
        let url = pooler.as_ref().map(PgBouncer::admin_url);
        let more: Vec<(&str, &str)> = url
            .iter()
            .map(|url| ("PGBOUNCER_URL", url.as_str()))
            .collect();
        self.show_all(WATCHED, context, &more).await?;

        let standby = self.standby.connect("postgres").await?;
        let primary = self.primary.connect(self.system.name()).await?;
        context.ui.result(
            "\n# Now things go wrong. On the standby somebody pauses replay:\n# => select pg_wal_replay_pause()\n",
        )?;
        standby
            .query("select pg_catalog.pg_wal_replay_pause()", &[])
            .await
            .context("on the standby")?;
        context.ui.result(
            "# On the primary an index is built over duplicates, which fails and leaves it invalid:\n# => create unique index concurrently once on twice (number)\n",
        )?;
        primary
            .query(
                "create table public.twice as select 1 as number from generate_series(1, 2)",
                &[],
            )
            .await
            .context("making a table with duplicates")?;
        // That it fails is the point.
        let failed = primary
            .query(
                "create unique index concurrently once on public.twice (number)",
                &[],
            )
            .await;
        anyhow::ensure!(failed.is_err(), "an index over duplicates was built");
        let hold = match &pooler {
            Some(pooler) => {
                context.ui.result(
                    "# In the pool of one connection a transaction stays open, and four clients wait for it.\n",
                )?;
                Some(pooler.hold(self.system.name(), 4).await?)
            }
            None => None,
        };
        let broken = if hold.is_some() {
            BROKEN
        } else {
            BROKEN_WITHOUT_POOLER
        };
        self.show_all(broken, context, &more).await?;

        drop(hold);
        standby
            .query("select pg_catalog.pg_wal_replay_resume()", &[])
            .await
            .context("on the standby")?;
        primary
            .query("drop table public.twice", &[])
            .await
            .context("removing the index")?;
        self.caught_up().await?;
        self.show_all(MENDED, context, &more).await
    }

    async fn show_all(
        &self,
        scenes: &[Scene],
        context: &Context,
        more: &[(&str, &str)],
    ) -> Result<()> {
        for scene in scenes {
            debug_assert!(scene.on == On::Primary);
            self.show_with(scene, self.system, context, more).await?;
        }
        Ok(())
    }
}
