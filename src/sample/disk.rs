//! The file systems under a server's files, where it runs on this very machine.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// A file system that the server writes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// What lies on it: `data` or `wal`.
    pub directory: &'static str,
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that are taken or can be had without being root.
    pub all: u64,
}

/// Reads the file systems under a data directory and its `pg_wal`.
///
/// An address of this machine may still lead elsewhere: into a container, or through a tunnel. So the directory has to hold the control
/// file of the server that was asked.
///
/// # Errors
/// In words, why it cannot be told that this is the server's directory.
pub fn read(data_directory: &str, system_identifier: i64) -> Result<Vec<Disk>, String> {
    let data = Path::new(data_directory);
    let control = data.join("global").join("pg_control");
    let mut first = [0; 8];
    File::open(&control)
        .and_then(|mut file| file.read_exact(&mut first))
        .map_err(|error| format!("{} cannot be read: {error}", control.display()))?;
    if i64::from_ne_bytes(first) != system_identifier {
        return Err(format!(
            "{data_directory} on this machine is another server's"
        ));
    }
    [("data", data.to_owned()), ("wal", data.join("pg_wal"))]
        .into_iter()
        .map(|(directory, path)| {
            let found = statvfs(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let bytes = |blocks: u64| blocks * found.fragment_size();
            let used = bytes(found.blocks().saturating_sub(found.blocks_free()));
            Ok(Disk {
                directory,
                used,
                all: used + bytes(found.blocks_available()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directory_of_the_server_is_looked_at() {
        let home = std::env::temp_dir().join(format!("dbops-disk-{}", std::process::id()));
        std::fs::create_dir_all(home.join("global")).unwrap();
        std::fs::create_dir_all(home.join("pg_wal")).unwrap();
        let text = home.display().to_string();
        assert!(read(&text, 7).unwrap_err().contains("cannot be read"));
        let mut control = 7_i64.to_ne_bytes().to_vec();
        control.extend([0; 100]);
        std::fs::write(home.join("global/pg_control"), control).unwrap();
        assert!(read(&text, 8).unwrap_err().contains("another server's"));
        let disks = read(&text, 7).unwrap();
        assert_eq!(disks.len(), 2);
        for disk in disks {
            assert!(disk.used <= disk.all && disk.all > 0, "{disk:?}");
        }
        std::fs::remove_dir_all(home).unwrap();
    }
}
