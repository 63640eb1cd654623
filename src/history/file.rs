//! The history as a local file of JSON lines, where the database takes none.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::changes::changeset::Changeset;

pub(super) struct Log {
    file: File,
}

impl Log {
    pub(super) fn begin(
        path: &Path,
        changeset: &Changeset,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        if let Some(folder) = path.parent() {
            create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| error.to_string())?;
        let mut log = Self { file };
        log.write(&json!({
            "at": now,
            "run": "started",
            "dbops_version": env!("CARGO_PKG_VERSION"),
            "changeset": changeset,
        }))?;
        Ok(log)
    }

    /// Writes one line in one call, so that two processes' lines do not mix.
    pub(super) fn write(&mut self, line: &serde_json::Value) -> Result<(), String> {
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| error.to_string())
    }
}
