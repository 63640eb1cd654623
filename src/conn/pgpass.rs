//! `~/.pgpass`: passwords by host, port, database and user.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Secret;

/// Folders of the default socket, which the file knows as `localhost`.
pub(super) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// What a password is looked up by.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// Host name, address or socket folder, as given.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database.
    pub dbname: &'a str,
    /// User.
    pub user: &'a str,
}

/// Reads a password file.
///
/// Returns `None` when there is none; a file that others may read is ignored with a warning, as in
/// libpq.
///
/// # Errors
/// Returns the warning to print.
pub fn read(path: &Path) -> Result<Option<Secret>, String> {
    let ignored = |why: String| format!("password file `{}` {why}; it is ignored", path.display());
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Err(ignored("is not a plain file".to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ignored(format!(
            "has permissions {mode:04o}, so that others may read it (make it 0600)"
        )));
    }
    std::fs::read_to_string(path)
        .map(|text| Some(Secret::new(text)))
        .map_err(|error| ignored(format!("cannot be read: {error}")))
}

/// Finds the password of the first matching line.
pub fn find(text: &Secret, lookup: Lookup<'_>) -> Option<Secret> {
    let host = if SOCKET_FOLDERS.contains(&lookup.host) {
        "localhost"
    } else {
        lookup.host
    };
    let port = lookup.port.to_string();
    text.expose()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let rest = [host, &port, lookup.dbname, lookup.user]
                .into_iter()
                .try_fold(line, match_field)?;
            let password = unescape(rest);
            (!password.is_empty()).then(|| Secret::new(password))
        })
}

/// Takes one field off the line when it is `*` or equal to the value.
fn match_field<'a>(line: &'a str, value: &str) -> Option<&'a str> {
    let mut escaped = false;
    let end = line.bytes().position(|byte| {
        let ends = byte == b':' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (field, rest) = (line.get(..end)?, line.get(end + 1..)?);
    (field == "*" || unescape_field(field) == value).then_some(rest)
}

fn unescape_field(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}

/// The password ends at a colon that is not escaped, or with the line.
fn unescape(rest: &str) -> String {
    let mut plain = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => break,
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look<'a>(host: &'a str, port: u16, dbname: &'a str, user: &'a str) -> Lookup<'a> {
        Lookup {
            host,
            port,
            dbname,
            user,
        }
    }

    fn found(text: &str, lookup: Lookup<'_>) -> Option<String> {
        find(&Secret::new(text), lookup).map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_first_matching_line_wins() {
        let text =
            "# db1:5432:shop:ann:comment\ndb1:5432:shop:ann:one\n*:*:*:ann:two\n*:5433:*:*:three\n";
        assert_eq!(
            found(text, look("db1", 5432, "shop", "ann")).as_deref(),
            Some("one")
        );
        assert_eq!(
            found(text, look("db2", 5432, "shop", "ann")).as_deref(),
            Some("two")
        );
        assert_eq!(
            found(text, look("db2", 5433, "x", "bob")).as_deref(),
            Some("three")
        );
        assert_eq!(found(text, look("db2", 5432, "x", "bob")), None);
    }

    #[test]
    fn the_default_socket_is_localhost_and_others_are_their_folder() {
        let text = "localhost:5432:*:*:local\n/srv/pg:5432:*:*:other\n";
        assert_eq!(
            found(text, look("/var/run/postgresql", 5432, "d", "u")).as_deref(),
            Some("local")
        );
        assert_eq!(
            found(text, look("/srv/pg", 5432, "d", "u")).as_deref(),
            Some("other")
        );
    }

    #[test]
    fn colons_and_backslashes_are_escaped() {
        let text = r"\:\:1:*:a\:b:c\\d:p\:w\\";
        assert_eq!(
            found(text, look("::1", 1, "a:b", r"c\d")).as_deref(),
            Some(r"p:w\")
        );
    }

    #[test]
    fn short_lines_match_nothing() {
        for text in ["", ":", "*", "*:*:*:*", "*:*:*:*:", "\\", "*:*:*:\\"] {
            assert_eq!(found(text, look("h", 1, "d", "u")), None, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        assert_eq!(read(&path), Ok(None));
        std::fs::write(&path, "*:*:*:*:hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let warning = read(&path).unwrap_err();
        assert!(
            warning.contains("0640") && warning.contains("0600"),
            "{warning}"
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path).unwrap().is_some());
        assert!(
            read(folder.path())
                .unwrap_err()
                .contains("not a plain file")
        );
    }

    proptest! {
        #[test]
        fn escaped_fields_are_found(host in "[a-z:\\\\*]{2,8}", user in "[a-z:\\\\]{1,8}", password in "[^\0\r\n]{1,12}") {
            let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
            let line = format!("{}:*:*:{}:{}", escape(&host), escape(&user), escape(&password));
            prop_assert_eq!(found(&line, look(&host, 5432, "d", &user)), Some(password));
        }
    }
}
