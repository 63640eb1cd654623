//! What the tests of partition commands share: plan files, runs, and a picture of the catalog.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at their databases with statements of their own"
)]

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::command::{Dbops, Run};
use super::context::{Ctx, Db};

/// The instant that most tests use as now.
pub(crate) const NOW: &str = "2026-02-10T12:00:00Z";

impl Ctx {
    /// Writes the plan file that the command finds by itself.
    pub(crate) fn plan(&self, text: &str) -> Result<()> {
        std::fs::write(
            self.dir().join("dbops.yaml"),
            format!("version: 1\n{text}\n"),
        )
        .context("writing a plan file")
    }

    /// Makes `dbops --as-of <now>` on a database, with these words after it.
    pub(crate) fn at(&self, db: &Db, now: &str, words: &str) -> Dbops {
        self.dbops()
            .on(db)
            .args(["--as-of", now])
            .args(words.split_whitespace())
    }

    /// Runs `dbops partitions ensure` at [`NOW`] and wants this exit code.
    pub(crate) async fn ensures(&self, db: &Db, code: i32) -> Result<Run> {
        self.runs(db, "partitions ensure", code).await
    }

    /// Runs a command at [`NOW`] and wants this exit code.
    pub(crate) async fn runs(&self, db: &Db, words: &str, code: i32) -> Result<Run> {
        self.at(db, NOW, words).run().await?.exits_with(code)
    }
}

impl Db {
    /// Copies the database by template, oids and all, and returns both.
    pub(crate) async fn copy(self) -> Result<(Self, Self)> {
        let Self {
            name,
            client,
            cluster,
            ..
        } = self;
        // The server copies only what nobody is connected to.
        drop(client);
        let twin = format!("{name}_copy");
        let admin = cluster.connect("postgres").await?;
        let sql = format!(
            "create database {} template {}",
            dbops::ident::quote_ident(&twin),
            dbops::ident::quote_ident(&name)
        );
        super::eventually("the database can be copied", async || {
            Ok(admin.batch_execute(&sql).await.is_ok())
        })
        .await?;
        Ok((
            Self::open(cluster.clone(), name).await?,
            Self::open(cluster, twin).await?,
        ))
    }

    /// Returns the rows of a query of text columns; NULL is `-`.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let rows = self
            .client
            .query(sql, &[])
            .await
            .with_context(|| format!("querying: {sql}"))?;
        rows.iter()
            .map(|row| {
                (0..row.len())
                    .map(|at| {
                        let value: Option<String> = row.try_get(at)?;
                        Ok(value.unwrap_or_else(|| "-".to_owned()))
                    })
                    .collect()
            })
            .collect()
    }

    /// Returns the first column of a query.
    pub(crate) async fn list(&self, sql: &str) -> Result<Vec<String>> {
        let rows = self.rows(sql).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.into_iter().next())
            .collect())
    }

    /// Returns a table's partitions as `name FOR VALUES …`, as UTC and ISO print them, by name.
    pub(crate) async fn bounds(&self, table: &str) -> Result<Vec<String>> {
        self.run("set timezone = 'UTC'; set datestyle = 'ISO, YMD'")
            .await?;
        self.list(&format!(
            "select c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid) from pg_inherits i \
             join pg_class c on c.oid = i.inhrelid where i.inhparent = {}::regclass order by 1",
            dbops::ident::quote_literal(table)
        ))
        .await
    }

    /// Returns the names of a table's partitions.
    pub(crate) async fn children(&self, table: &str) -> Result<Vec<String>> {
        self.list(&format!(
            "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
             where i.inhparent = {}::regclass order by 1",
            dbops::ident::quote_literal(table)
        ))
        .await
    }

    /// Returns everything structural outside the server's and dbops's schemas, one fact a line,
    /// without oids.
    pub(crate) async fn digest(&self) -> Result<Vec<String>> {
        self.run("set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set search_path = ''")
            .await?;
        let facts = self.list(DIGEST).await;
        self.run("reset search_path").await?;
        facts
    }
}

/// Facts of user relations. Names that the server chooses are the same for the same statements.
const DIGEST: &str = "
with mine as (
  select c.*, n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'dbops')
)
select fact collate \"C\" from (
  select pg_catalog.format('%s %I.%I owner %s acl %s rls %s%s ident %s part %s bound %s space %s opt %s comment %s parent %s', c.relkind,
    c.nspname, c.relname, c.relowner::pg_catalog.regrole,
    (select pg_catalog.string_agg(a::text, ',' order by a::text) from pg_catalog.unnest(c.relacl) a),
    c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition,
    pg_catalog.pg_get_expr(c.relpartbound, c.oid), c.reltablespace, c.reloptions,
    pg_catalog.obj_description(c.oid, 'pg_class'),
    (select i.inhparent::pg_catalog.regclass::text || coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending'), '')
     from pg_catalog.pg_inherits i where i.inhrelid = c.oid)) as fact
  from mine c
  union all
  select pg_catalog.format('column %I.%I.%I %s %s null %s stat %s opt %s storage %s id %s gen %s acl %s default %s', c.nspname, c.relname,
    a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstattarget, a.attoptions,
    a.attstorage, a.attidentity, a.attgenerated, a.attacl,
    (select pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum))
  from mine c join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  union all
  select pg_catalog.format('constraint %I.%I %I %s', c.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
  from mine c join pg_catalog.pg_constraint k on k.conrelid = c.oid
  union all
  select pg_catalog.pg_get_indexdef(c.oid) from mine c where c.relkind in ('i', 'I')
  union all
  select pg_catalog.pg_get_triggerdef(t.oid) from mine c join pg_catalog.pg_trigger t on t.tgrelid = c.oid where not t.tgisinternal
  union all
  select pg_catalog.format('policy %I.%I %I %s %s %s %s', c.nspname, c.relname, p.polname, p.polcmd, p.polpermissive,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from mine c join pg_catalog.pg_policy p on p.polrelid = c.oid
  union all
  select pg_catalog.pg_get_statisticsobjdef(s.oid) from mine c join pg_catalog.pg_statistic_ext s on s.stxrelid = c.oid
  union all
  select pg_catalog.format('schema %I', n.nspname) from pg_catalog.pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname <> 'dbops'
) f order by 1";

/// Returns the changeset of the only target in a JSON report.
pub(crate) fn changeset(run: &Run) -> Result<Value> {
    Ok(run.json()?["runs"][0]["changeset"].clone())
}

/// Returns the outcome of the only target in a JSON report.
pub(crate) fn outcome(run: &Run) -> Result<Value> {
    Ok(run.json()?["runs"][0]["outcome"].clone())
}

/// Returns the refusal with this code, or fails with all that there are.
pub(crate) fn refusal(run: &Run, code: &str) -> Result<Value> {
    let refusals = changeset(run)?["refusals"].clone();
    let found = refusals
        .as_array()
        .into_iter()
        .flatten()
        .find(|refusal| refusal["code"] == code);
    match found {
        Some(refusal) => Ok(refusal.clone()),
        None => bail!("no refusal `{code}` in {refusals:#}"),
    }
}

/// Fails unless the text holds every part.
pub(crate) fn holds(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    Ok(())
}

/// Fails with both sides unless they are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<()> {
    ensure!(found == wanted, "found  {found:#?}\nwanted {wanted:#?}");
    Ok(())
}
