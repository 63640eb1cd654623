//! A changeset as a file: versioned, with a checksum, so that what is applied is what was looked at.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::changeset::{Changeset, FORMAT};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    checksum: String,
    changeset: Value,
}

/// Returns the file's text.
///
/// # Errors
/// Only when a value cannot be written as JSON.
pub fn write(changeset: &Changeset) -> anyhow::Result<String> {
    let changeset = serde_json::to_value(changeset)?;
    let file = File {
        format: FORMAT.to_owned(),
        checksum: checksum(&changeset),
        changeset,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&file)?))
}

/// Reads a file's text.
///
/// # Errors
/// Says whether it is no saved changeset, one of another version, or one that was edited.
pub fn read(text: &str) -> Result<Changeset, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("not a saved changeset: {error}"))?;
    match value.get("format").and_then(Value::as_str) {
        Some(FORMAT) => {}
        Some(other) => {
            return Err(format!(
                "format `{other}`; this version of dbops runs `{FORMAT}`"
            ));
        }
        None => return Err("not a saved changeset: it has no `format`".to_owned()),
    }
    let file: File =
        serde_json::from_value(value).map_err(|error| format!("not a saved changeset: {error}"))?;
    if checksum(&file.changeset) != file.checksum {
        return Err("the file was edited after it was saved; compute a new one instead".to_owned());
    }
    serde_json::from_value(file.changeset)
        .map_err(|error| format!("not a saved changeset: {error}"))
}

fn checksum(changeset: &Value) -> String {
    Sha256::digest(changeset.to_string().as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
