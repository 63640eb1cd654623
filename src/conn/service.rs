//! `pg_service.conf`: named sets of connection parameters.

use std::path::{Path, PathBuf};

use super::Env;
use super::conninfo::Params;

/// Adds the parameters of a service where they are not set yet.
///
/// Looks in the service file that `servicefile`, `PGSERVICEFILE` or the home directory names, then in
/// `PGSYSCONFDIR/pg_service.conf`, as libpq does.
///
/// # Errors
/// The service is in no file, or its definition is broken: with file and line.
pub fn apply(params: &mut Params, service: &str, env: &Env) -> Result<(), String> {
    let mut looked_in = Vec::new();
    for file in files(params, env)? {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                looked_in.push(format!("`{}` (not there)", file.display()));
                continue;
            }
            Err(error) => {
                return Err(format!(
                    "reading service file `{}`: {error}",
                    file.display()
                ));
            }
        };
        if let Some(found) = find(&text, service, &file)? {
            for (name, value) in found.iter() {
                params.set_default(name, value)?;
            }
            return Ok(());
        }
        looked_in.push(format!("`{}`", file.display()));
    }
    Err(format!(
        "service `{service}` is not defined; looked in {}",
        if looked_in.is_empty() {
            "no file: set PGSERVICEFILE or HOME".to_owned()
        } else {
            looked_in.join(", ")
        }
    ))
}

fn files(params: &Params, env: &Env) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let named = params.given("servicefile").or(env.var("PGSERVICEFILE"));
    if let Some(named) = named.filter(|name| !name.is_empty()) {
        // A file that the user named must exist; the default places need not.
        if !Path::new(named).is_file() {
            return Err(format!("service file `{named}` not found"));
        }
        files.push(PathBuf::from(named));
    } else {
        files.extend(env.in_home(".pg_service.conf"));
    }
    match env.var("PGSYSCONFDIR") {
        Some(folder) => files.push(Path::new(folder).join("pg_service.conf")),
        // The build-time folder of Debian's libpq, and that of the others.
        None => files.extend(
            ["/etc/postgresql-common", "/etc/sysconfig/pgsql"]
                .map(|folder| Path::new(folder).join("pg_service.conf")),
        ),
    }
    Ok(files)
}

/// Finds a section and reads it to its end.
fn find(text: &str, service: &str, file: &Path) -> Result<Option<Params>, String> {
    let mut found: Option<Params> = None;
    for (number, line) in text.lines().enumerate() {
        let at = |what: &str| format!("{}:{}: {what}", file.display(), number + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if section.strip_suffix(']') == Some(service) {
                found = Some(Params::default());
            }
            continue;
        }
        let Some(params) = &mut found else { continue };
        if line.starts_with("ldap") {
            return Err(at("LDAP look-up of a service is not supported"));
        }
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| at("a line is neither `[name]` nor `key=value`"))?;
        if matches!(name, "service" | "servicefile") {
            return Err(at("a service cannot name another service"));
        }
        params
            .set_default(name, value)
            .map_err(|error| at(&error))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# shops\n[shop]\nhost=db1\nport=5433\nport=9\n\n[other]\nhost=db2\n[bad]\nhots=x\n[worse]\nhost\n[loop]\nservice=shop\n";

    fn read(service: &str) -> Result<Option<String>, String> {
        find(FILE, service, Path::new("f")).map(|found| found.map(|params| params.to_conninfo()))
    }

    #[test]
    fn a_section_is_read_to_its_end_and_the_first_value_wins() {
        assert_eq!(read("shop"), Ok(Some("host='db1' port='5433'".to_owned())));
        assert_eq!(read("other"), Ok(Some("host='db2'".to_owned())));
        assert_eq!(read("none"), Ok(None));
    }

    #[test]
    fn broken_lines_are_named_by_file_and_line() {
        assert_eq!(
            read("bad"),
            Err("f:10: unknown connection parameter `hots`".to_owned())
        );
        assert!(read("worse").unwrap_err().starts_with("f:12: "));
        assert!(read("loop").unwrap_err().starts_with("f:14: "));
    }

    #[test]
    fn what_is_set_already_stays_and_a_missing_service_names_the_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".pg_service.conf"), FILE).unwrap();
        let env = Env::default().with_home(folder.path());
        let mut params = Params::default();
        params.set("host", "mine").unwrap();
        apply(&mut params, "shop", &env).unwrap();
        assert_eq!(params.to_conninfo(), "host='mine' port='5433'");
        let error = apply(&mut params, "nope", &env).unwrap_err();
        assert!(error.contains("service `nope` is not defined"), "{error}");
        assert!(error.contains(".pg_service.conf"), "{error}");
    }

    #[test]
    fn a_named_service_file_must_exist() {
        let env = Env::new(
            [("PGSERVICEFILE".to_owned(), "/nowhere/f".to_owned())],
            None,
        );
        let error = apply(&mut Params::default(), "shop", &env).unwrap_err();
        assert_eq!(error, "service file `/nowhere/f` not found");
    }
}
