//! A base backup over SQL: the copy of a running primary that a standby starts from.
//!
//! `pg_basebackup` would do it too, but it is a client program, and server-only builds lack it.
//! <https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP>

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::account::Account;
use super::cluster::Cluster;

/// Contents that belong to the running server and are made anew by the copy's.
const EMPTY_IN_COPY: &[&str] = &[
    "pg_wal",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];

/// Files that belong to the running server.
const LEFT_OUT: &[&str] = &["postmaster.pid", "postmaster.opts", "pg_internal.init"];

/// The two functions were renamed in 15; the greatest entry not above the server's major is used.
const FUNCTIONS: &[(u16, &str, &str)] = &[
    (
        13,
        "select pg_catalog.pg_start_backup('dbops', true, false)::text",
        "select labelfile from pg_catalog.pg_stop_backup(false, false)",
    ),
    (
        15,
        "select pg_catalog.pg_backup_start('dbops', true)::text",
        "select labelfile from pg_catalog.pg_backup_stop(false)",
    ),
];

pub(super) trait Standby {
    fn slot(&self) -> Option<&str>;
}

/// Copies the primary's data directory to `to`, consistent once WAL from the primary is replayed.
pub(super) async fn copy(
    primary: &Cluster,
    to: &Path,
    account: Account,
    standby: &impl Standby,
) -> Result<()> {
    let major = primary.install().major();
    let Some((_, start, stop)) = FUNCTIONS.iter().rev().find(|(from, ..)| *from <= major) else {
        bail!("a standby of PostgreSQL {major} cannot be made");
    };
    // The backup lasts as long as this session.
    let client = primary.connect("postgres").await?;
    if let Some(slot) = standby.slot() {
        client
            .query(
                "select pg_catalog.pg_create_physical_replication_slot($1, true)",
                &[&slot],
            )
            .await
            .with_context(|| format!("creating replication slot `{slot}`"))?;
    }
    client
        .query_one(*start, &[])
        .await
        .context("starting a base backup")?;
    copy_dir(&primary.data(), to, account).context("copying the primary's data directory")?;
    let label: String = client
        .query_one(*stop, &[])
        .await
        .context("ending a base backup")?
        .try_get(0)?;
    let path = to.join("backup_label");
    std::fs::write(&path, label).context("writing backup_label")?;
    account.own(&path)
}

fn copy_dir(from: &Path, to: &Path, account: Account) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(to)?;
    account.own(to)?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        // A database dropped meanwhile: replaying the WAL drops it from the copy as well.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let (source, target) = (entry.path(), to.join(&name));
        if LEFT_OUT.contains(&text.as_ref()) {
            continue;
        }
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if kind.is_symlink() {
            bail!(
                "`{}` is a tablespace; a sandbox copies none",
                source.display()
            );
        } else if kind.is_dir() && EMPTY_IN_COPY.contains(&text.as_ref()) {
            make_empty(&target, account)?;
        } else if kind.is_dir() {
            copy_dir(&source, &target, account)?;
        } else {
            match std::fs::copy(&source, &target) {
                Ok(_) => account.own(&target)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("copying `{}`", source.display()));
                }
            }
        }
    }
    Ok(())
}

fn make_empty(dir: &Path, account: Account) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(dir)?;
    account.own(dir)?;
    if dir.file_name().is_some_and(|name| name == "pg_wal") {
        let status = dir.join("archive_status");
        std::fs::DirBuilder::new().mode(0o700).create(&status)?;
        account.own(&status)?;
    }
    Ok(())
}
