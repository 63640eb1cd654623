//! Reads `pg_stat_statements` of any version from 1.4, in whatever schema it is.
//!
//! The columns are those that the view has, never those that the server's version lets expect: a server keeps the
//! extension's version until somebody updates it. No `limit` and no join, so that no entry is missing.
//!
//! Source: <https://www.postgresql.org/docs/18/pgstatstatements.html>.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::column::{Column, Nature};
use super::merge::merge;
use super::model::{Counters, Entry, Key, Origin, Override, Snapshot};
use super::own::leave_out_own;
use super::unavailable::{Place, ReadError, Reason, Unavailable, preload};
use crate::ident::{QualifiedName, quote_ident, quote_if_needed};

/// What statements of dbops on this path hold: by it they are recognised among the entries.
///
/// It stands inside the statement, because what stands before it is not part of the text on every version.
pub const MARK: &str = "/* dbops */";

macro_rules! query {
    ($file:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/sql/statements/",
            $file
        ))
    };
}

/// Entries of which databases are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Databases {
    /// Of all, dropped ones too.
    #[default]
    All,
    /// Of the one of that name.
    One(String),
}

/// Which texts are read; they cost more than all counters together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Texts {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of entries whose keys are not among these.
    Missing(HashSet<Key>),
}

/// What becomes of entries of dbops's own statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Own {
    /// They are left out where their texts are read.
    #[default]
    Exclude,
    /// They stay.
    Include,
}

/// What is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Entries of which databases.
    pub databases: Databases,
    /// Which texts.
    pub texts: Texts,
    /// Whether dbops's own statements stay.
    pub own: Own,
}

/// Where the extension is and what it shows; found once for a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    schema: String,
    extension: String,
    has_info: bool,
    has_toplevel: bool,
    columns: Vec<Column>,
    /// Names of the columns as this version spells them, in the order of `columns`.
    names: Vec<&'static str>,
    database: String,
    role: String,
    preloaded: Option<String>,
    /// OID of the only database wanted.
    one: Option<u32>,
}

/// Reads everything once, in the transaction of the caller.
///
/// # Errors
/// [`ReadError::Unavailable`] says what is missing and the exact statement that changes it.
pub async fn read(tx: &Transaction<'_>, options: &Options) -> Result<Snapshot, ReadError> {
    let (source, origin) = find(tx, &options.databases).await?;
    read_from(tx, &source, origin, options).await
}

/// Reads the counters of all entries once, without texts and names.
///
/// # Errors
/// As those of [`read`].
pub async fn read_counters(tx: &Transaction<'_>) -> Result<Snapshot, ReadError> {
    let options = Options {
        databases: Databases::All,
        texts: Texts::None,
        own: Own::Include,
    };
    let (source, origin) = find(tx, &options.databases).await?;
    source.counters(tx, origin, &options).await
}

/// Finds the extension, and reads the server's own facts.
///
/// # Errors
/// As those of [`read`].
pub async fn find(
    tx: &Transaction<'_>,
    databases: &Databases,
) -> Result<(Source, Origin), ReadError> {
    let mut origin = read_origin(tx).await?;
    if origin.version_num < 130_000 {
        return Err(Unavailable::new(
            Reason::OldServer,
            "the server is older than PostgreSQL 13, the oldest that dbops knows",
        )
        .into());
    }
    let preloaded = origin.settings.remove("shared_preload_libraries");
    let rows = query(tx, query!("probe.sql"), &[])
        .await
        .context("looking for pg_stat_statements")?;
    let Some(row) = rows.first() else {
        return Err(missing(&origin, preloaded.as_deref()).into());
    };
    let view_columns: Vec<String> = get(row, "view_columns")?;
    let mut source = Source {
        schema: get(row, "schema_name")?,
        extension: get(row, "extension")?,
        has_info: get(row, "has_info")?,
        has_toplevel: view_columns.iter().any(|name| name == "toplevel"),
        columns: Vec::new(),
        names: Vec::new(),
        database: origin.database.clone(),
        role: origin.role.clone(),
        preloaded,
        one: None,
    };
    for &column in Column::ALL {
        let spelled = std::iter::once(column.name())
            .chain(column.older_names().iter().copied())
            .find(|name| view_columns.iter().any(|there| there == name));
        if let Some(name) = spelled {
            source.columns.push(column);
            source.names.push(name);
        }
    }
    if view_columns.is_empty() {
        return Err(Unavailable::new(
            Reason::NoView,
            format!(
                "the extension pg_stat_statements of database {} is in schema {}, and its view is not",
                source.database, source.schema
            ),
        )
        .fix("drop extension pg_stat_statements; create extension pg_stat_statements;")
        .into());
    }
    if !view_columns.iter().any(|name| name == "queryid")
        || !source.columns.contains(&Column::MeanExecTime)
    {
        return Err(Unavailable::new(
            Reason::TooOld,
            format!(
                "version {} of pg_stat_statements in database {} is older than 1.4",
                source.extension, source.database
            ),
        )
        .fix("alter extension pg_stat_statements update;")
        .into());
    }
    if let Databases::One(name) = databases {
        let found = query(
            tx,
            "select /* dbops */ d.oid from pg_catalog.pg_database as d where d.datname = $1",
            &[(name, Type::TEXT)],
        )
        .await
        .context("looking for the database")?;
        let Some(row) = found.first() else {
            return Err(Unavailable::new(
                Reason::NoDatabase,
                format!(
                    "there is no database {} on this server",
                    quote_if_needed(name)
                ),
            )
            .into());
        };
        source.one = Some(get(row, "oid")?);
        origin.one_database = Some(name.clone());
    }
    origin.extension.clone_from(&source.extension);
    Ok((source, origin))
}

/// Reads the entries of an extension that was found before, with an origin read in the same transaction.
///
/// # Errors
/// As those of [`read`].
pub async fn read_from(
    tx: &Transaction<'_>,
    source: &Source,
    origin: Origin,
    options: &Options,
) -> Result<Snapshot, ReadError> {
    let mut snapshot = source.counters(tx, origin, options).await?;
    (snapshot.databases, snapshot.roles) = names(tx, &snapshot.entries).await?;
    Ok(snapshot)
}

/// Returns whether a text is that of a statement of dbops.
pub fn is_own(text: &str) -> bool {
    text.contains(MARK)
}

/// Reads the facts of the server that a reading is held against.
///
/// # Errors
/// The connection fails.
pub async fn read_origin(tx: &Transaction<'_>) -> Result<Origin, ReadError> {
    let rows = query(tx, query!("origin.sql"), &[])
        .await
        .context("reading the server's facts")?;
    let row = rows.first().context("the server did not describe itself")?;
    let settings: Vec<String> = get(row, "settings")?;
    let mut origin = Origin {
        taken_at: get(row, "taken_at")?,
        version_num: get(row, "version_num")?,
        address: get(row, "address")?,
        in_recovery: get(row, "in_recovery")?,
        database: get(row, "database")?,
        role: get(row, "role")?,
        started_at: get(row, "started_at")?,
        other_resets: get(row, "other_resets")?,
        settings: settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..Origin::default()
    };
    for row in query(tx, query!("overrides.sql"), &[])
        .await
        .context("reading the settings of roles and databases")?
    {
        origin.overrides.push(Override {
            name: get(&row, "name")?,
            value: get(&row, "value")?,
            role: get(&row, "role")?,
            database: get(&row, "database")?,
        });
    }
    if get(row, "reads_control")? {
        let rows = query(tx, query!("control.sql"), &[])
            .await
            .context("reading which cluster this is")?;
        if let Some(row) = rows.first() {
            origin.system_identifier = get(row, "system_identifier")?;
            origin.timeline = get(row, "timeline")?;
        }
    }
    Ok(origin)
}

fn missing(origin: &Origin, preloaded: Option<&str>) -> Unavailable {
    let unavailable = Unavailable::new(
        Reason::Missing,
        format!(
            "the extension pg_stat_statements is not installed in database {}",
            quote_if_needed(&origin.database)
        ),
    );
    let library = "pg_stat_statements";
    let loaded = preloaded.map(|list| list.split(',').any(|one| one.trim() == library));
    let unavailable = match loaded {
        Some(true) => unavailable,
        _ => unavailable.fix(preload(preloaded, library)),
    };
    unavailable
        .fix("create extension pg_stat_statements;")
        .fix("where it is installed in another database of this server, name that one with --dbname: its view shows all databases")
}

impl Source {
    /// Returns the version of the extension.
    pub fn extension(&self) -> &str {
        &self.extension
    }

    /// Returns the columns that this version has.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the source with the columns alone that tell what ran between two readings, and whether to trust it.
    #[must_use]
    pub fn narrow(&self) -> Self {
        use Column as C;
        let kept = [
            C::Calls,
            C::Rows,
            C::TotalExecTime,
            C::MinExecTime,
            C::MaxExecTime,
            C::MeanExecTime,
            C::StddevExecTime,
            C::Plans,
            C::TotalPlanTime,
            C::SharedBlksHit,
            C::SharedBlksRead,
            C::StatsSince,
            C::MinmaxStatsSince,
        ];
        let (columns, names) = self
            .columns
            .iter()
            .zip(&self.names)
            .filter(|(column, _)| kept.contains(column))
            .unzip();
        Self {
            columns,
            names,
            ..self.clone()
        }
    }

    /// Brings the facts up to date that move from one reading to the next.
    ///
    /// # Errors
    /// As those of [`read`].
    pub async fn tick(&self, tx: &Transaction<'_>, origin: &mut Origin) -> Result<(), ReadError> {
        let (columns, from) = if self.has_info {
            let info = QualifiedName::new(&self.schema, "pg_stat_statements_info").sql();
            (
                "i.dealloc::pg_catalog.int8 as dealloc, extract(epoch from i.stats_reset)::pg_catalog.float8 as stats_reset",
                format!(" from {info} as i"),
            )
        } else {
            (
                "null::pg_catalog.int8 as dealloc, null::pg_catalog.float8 as stats_reset",
                String::new(),
            )
        };
        let sql = format!(
            "select {MARK} extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 as taken_at, \
             extract(epoch from pg_catalog.pg_postmaster_start_time())::pg_catalog.float8 as started_at, {columns}{from}"
        );
        let rows = self.ask(tx, &sql).await?;
        let row = rows.first().context("pg_stat_statements_info is empty")?;
        origin.taken_at = get(row, "taken_at")?;
        origin.started_at = get(row, "started_at")?;
        origin.dealloc = get(row, "dealloc")?;
        origin.stats_reset = get(row, "stats_reset")?;
        Ok(())
    }

    /// Reads the entries without the names of databases and roles.
    ///
    /// # Errors
    /// As those of [`read`].
    pub async fn counters(
        &self,
        tx: &Transaction<'_>,
        mut origin: Origin,
        options: &Options,
    ) -> Result<Snapshot, ReadError> {
        self.tick(tx, &mut origin).await?;
        let with_texts = options.texts == Texts::All;
        let mut entries = self.entries(tx, with_texts).await?;
        origin.entries = entries.len();
        origin.hidden = entries
            .iter()
            .filter(|entry| entry.key.queryid.is_none())
            .count();
        let visible = entries.len() - origin.hidden;
        merge(&mut entries);
        let identified = entries
            .iter()
            .filter(|entry| entry.key.queryid.is_some())
            .count();
        origin.merged = visible - identified;
        if let Texts::Missing(known) = &options.texts {
            self.fill(tx, &mut entries, known).await?;
        }
        if options.own == Own::Exclude {
            leave_out_own(&mut entries, &mut origin);
        }
        Ok(Snapshot {
            origin,
            entries,
            ..Snapshot::default()
        })
    }

    async fn ask(&self, tx: &Transaction<'_>, sql: &str) -> Result<Vec<Row>, ReadError> {
        tx.query_typed(sql, &[])
            .await
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: tokio_postgres::Error) -> ReadError {
        let place = Place {
            database: &self.database,
            role: &self.role,
            schema: &self.schema,
            extension: &self.extension,
            preloaded: self.preloaded.as_deref(),
        };
        match Unavailable::of(&error, &place) {
            Some(unavailable) => unavailable.into(),
            None => ReadError::Other(anyhow!(error).context("reading pg_stat_statements")),
        }
    }

    /// Returns the function behind the view, which leaves the file of texts alone when told so.
    fn function(&self, texts: bool) -> String {
        format!(
            "{}({texts})",
            QualifiedName::new(&self.schema, "pg_stat_statements").sql()
        )
    }

    fn identity(&self) -> String {
        format!(
            "s.dbid, s.userid, s.queryid, {}",
            if self.has_toplevel {
                "s.toplevel"
            } else {
                "null::pg_catalog.bool as toplevel"
            }
        )
    }

    /// Returns the only statement that reads counters: `$1` is the database wanted, or 0.
    fn sql(&self, texts: bool) -> String {
        let mut sql = format!("select {MARK} {}, ", self.identity());
        sql += if texts {
            "s.query"
        } else {
            "null::pg_catalog.text as query"
        };
        for (column, name) in self.columns.iter().zip(&self.names) {
            let name = quote_ident(name);
            sql += &match column.nature() {
                Nature::Instant => format!(", extract(epoch from s.{name})::pg_catalog.float8"),
                _ => format!(", s.{name}::pg_catalog.float8"),
            };
        }
        sql += &format!(
            " from {} as s where $1 in (0, s.dbid)",
            self.function(texts)
        );
        sql
    }

    async fn entries(&self, tx: &Transaction<'_>, texts: bool) -> Result<Vec<Entry>, ReadError> {
        let one = self.one.unwrap_or_default();
        let params: [(&(dyn ToSql + Sync), Type); 1] = [(&one, Type::OID)];
        let rows = tx
            .query_typed_raw(&self.sql(texts), params)
            .await
            .map_err(|error| self.failed(error))?;
        pin_mut!(rows);
        let mut entries = Vec::new();
        while let Some(row) = rows.next().await {
            entries.push(self.entry(&row.map_err(|error| self.failed(error))?)?);
        }
        Ok(entries)
    }

    fn entry(&self, row: &Row) -> anyhow::Result<Entry> {
        let key = key(row)?;
        let text: Option<String> = get(row, "query")?;
        let mut counters = Counters::default();
        for (place, column) in self.columns.iter().enumerate() {
            let value = row
                .try_get::<_, Option<f64>>(place + 5)
                .with_context(|| format!("reading `{}`", column.name()))?;
            counters.set(*column, value);
        }
        Ok(Entry {
            // The server puts a message in the place of a text that is hidden.
            text: text.filter(|_| key.queryid.is_some()).map(Arc::<str>::from),
            key,
            counters,
        })
    }

    /// Reads the texts of entries that are not known.
    async fn fill(
        &self,
        tx: &Transaction<'_>,
        entries: &mut [Entry],
        known: &HashSet<Key>,
    ) -> Result<(), ReadError> {
        let wanted: BTreeSet<i64> = entries
            .iter()
            .filter(|entry| !known.contains(&entry.key))
            .filter_map(|entry| entry.key.queryid)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<i64> = wanted.into_iter().collect();
        let sql = format!(
            "select {MARK} {}, s.query from {} as s where s.queryid = any($1)",
            self.identity(),
            self.function(true)
        );
        let rows = tx
            .query_typed(&sql, &[(&wanted, Type::INT8_ARRAY)])
            .await
            .map_err(|error| self.failed(error))?;
        let mut texts: HashMap<Key, Arc<str>> = HashMap::new();
        for row in &rows {
            if let Some(text) = get::<Option<&str>>(row, "query")? {
                texts.entry(key(row)?).or_insert_with(|| text.into());
            }
        }
        for entry in entries {
            if !known.contains(&entry.key) {
                entry.text = texts.remove(&entry.key);
            }
        }
        Ok(())
    }
}

fn key(row: &Row) -> anyhow::Result<Key> {
    Ok(Key {
        dbid: get(row, "dbid")?,
        userid: get(row, "userid")?,
        queryid: get(row, "queryid")?,
        toplevel: get(row, "toplevel")?,
    })
}

type Names = BTreeMap<u32, String>;

/// Reads the names of the databases and roles of entries; what was dropped has none.
async fn names(tx: &Transaction<'_>, entries: &[Entry]) -> anyhow::Result<(Names, Names)> {
    let unique = |oid: fn(&Entry) -> u32| -> Vec<u32> {
        let oids: BTreeSet<u32> = entries.iter().map(oid).collect();
        oids.into_iter().collect()
    };
    let (dbids, userids) = (unique(|e| e.key.dbid), unique(|e| e.key.userid));
    let rows = query(
        tx,
        query!("names.sql"),
        &[(&dbids, Type::OID_ARRAY), (&userids, Type::OID_ARRAY)],
    )
    .await
    .context("reading the names of databases and roles")?;
    let (mut databases, mut roles) = (Names::new(), Names::new());
    for row in &rows {
        let names = match get(row, "kind")? {
            "database" => &mut databases,
            _ => &mut roles,
        };
        names.insert(get(row, "oid")?, get(row, "name")?);
    }
    Ok((databases, roles))
}

async fn query(
    tx: &Transaction<'_>,
    sql: &str,
    params: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    tx.query_typed(sql, params).await
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> anyhow::Result<T> {
    row.try_get(column)
        .with_context(|| format!("reading the column `{column}`"))
}
