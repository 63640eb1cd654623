//! Knocks at the backends of pools that wait: whether they answer dbops itself.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use super::console::{ConsoleSample, Reach};
use crate::conn::reach::reaches;

/// Where PgBouncer looks for a backend's socket when it does not say: its own default, and that of Debian.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// A backend as the pooler has it, and where dbops can knock for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Door {
    /// As the pooler shows it: a host, several with commas between, a folder of sockets, or nothing.
    address: (String, i64),
    port: u16,
    /// Hosts and folders to try; one that answers is enough.
    places: Vec<String>,
    /// Whether these are all that the pooler may use: then silence of all of them is silence of the backend.
    complete: bool,
}

/// Knocks at the backends of pools whose clients wait, all at once, and notes in the sample which of them answer.
///
/// What the pooler calls local is another machine's business unless the pooler is on this one (`here`).
pub async fn knock(sample: &mut ConsoleSample, here: bool, patience: Duration) {
    let doors = doors(sample, here);
    let answers = join_all(doors.iter().map(|door| knocked(door, patience))).await;
    let told = doors.into_iter().zip(answers);
    let told = told.filter_map(|(door, reach)| Some((door.address, reach?)));
    sample.reach = told.collect::<BTreeMap<_, _>>();
}

fn doors(sample: &ConsoleSample, here: bool) -> Vec<Door> {
    let mut addresses: Vec<(String, i64)> = sample
        .pools
        .iter()
        .filter(|pool| pool.cl_waiting > Some(0))
        .filter_map(|pool| sample.databases.get(&pool.database))
        .filter_map(|one| Some((one.host.clone().unwrap_or_default(), one.port?)))
        .collect();
    addresses.sort();
    addresses.dedup();
    let own = sample.settings.get("unix_socket_dir");
    let own = own
        .map(|folder| folder.trim())
        .filter(|one| !one.is_empty());
    addresses
        .into_iter()
        .filter_map(|address| {
            let port = u16::try_from(address.1).ok()?;
            let (places, complete) = match (address.0.as_str(), own) {
                ("", Some(folder)) => (vec![folder.to_owned()], true),
                ("", None) => (SOCKET_FOLDERS.map(str::to_owned).to_vec(), false),
                // The pooler goes through a list in turn.
                (hosts, _) => {
                    let hosts = hosts.split(',').map(str::trim);
                    let hosts = hosts.filter(|host| !host.is_empty());
                    (hosts.map(str::to_owned).collect(), true)
                }
            };
            let all = places.len();
            let places: Vec<String> = places
                .into_iter()
                .filter(|place| (here || !is_local(place)) && !place.starts_with('@'))
                .collect();
            let complete = complete && places.len() == all;
            (!places.is_empty()).then_some(Door {
                address,
                port,
                places,
                complete,
            })
        })
        .collect()
}

/// Whether a host is whatever machine it is asked on: a socket, the loopback interface, no address at all.
fn is_local(host: &str) -> bool {
    if host.starts_with(['/', '@']) {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address.is_loopback() || address.is_unspecified();
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    matches!(
        name.as_str(),
        "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback"
    ) || name.ends_with(".localhost")
}

/// Returns whether the backend answers; `None`: it cannot be told from here.
async fn knocked(door: &Door, patience: Duration) -> Option<Reach> {
    let each = door.places.iter().map(|place| async move {
        let answer = reaches(place, door.port, patience).await;
        (place, answer)
    });
    let mut silent = Vec::new();
    let mut told = door.complete;
    for (place, answer) in join_all(each).await {
        match answer {
            Ok(()) => return Some(Reach::Answers),
            Err(error) => {
                // A folder that is not here, or not for us, is seen by the pooler alone.
                let hidden = error.kind() == ErrorKind::PermissionDenied
                    || (place.starts_with('/') && !Path::new(place).is_dir());
                told &= !hidden;
                silent.push(if door.places.len() == 1 {
                    error.to_string()
                } else {
                    format!("{place}: {error}")
                });
            }
        }
    }
    told.then(|| Reach::Silent(silent.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::pool::console::{DatabaseRow, PoolRow};

    /// A pooler with one pool that waits for a backend at this host.
    fn waits(host: Option<&str>, port: i64) -> ConsoleSample {
        ConsoleSample {
            pools: vec![PoolRow {
                database: "shop".to_owned(),
                cl_waiting: Some(1),
                ..PoolRow::default()
            }],
            databases: BTreeMap::from([(
                "shop".to_owned(),
                DatabaseRow {
                    host: host.map(str::to_owned),
                    port: Some(port),
                    ..DatabaseRow::default()
                },
            )]),
            ..ConsoleSample::default()
        }
    }

    #[test]
    fn what_is_local_to_another_machine_is_left_alone() {
        for host in [
            "",
            "/run/pg",
            "@pg",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "localhost",
            "LocalHost",
            "db.localhost",
            "ip6-localhost",
        ] {
            assert_eq!(doors(&waits(Some(host), 5432), false), [], "{host}");
        }
        let far = doors(&waits(Some("10.0.0.1,::1"), 5432), false);
        assert_eq!(far[0].places, ["10.0.0.1"]);
        assert!(!far[0].complete, "the other one may well answer the pooler");
    }

    #[test]
    fn a_socket_is_where_the_pooler_says() {
        let mut sample = waits(None, 5432);
        let unsaid = doors(&sample, true);
        assert!(!unsaid[0].complete);
        let folder = ("unix_socket_dir".to_owned(), "/run/elsewhere".to_owned());
        sample.settings.extend([folder]);
        assert_eq!(doors(&sample, true)[0].places, ["/run/elsewhere"]);
        sample.settings.clear();
        sample.databases = waits(Some("/run/own"), 1).databases;
        assert_eq!(doors(&sample, true)[0].places, ["/run/own"]);
    }

    #[tokio::test]
    async fn one_of_a_list_that_answers_is_enough_and_what_cannot_be_seen_is_not_silence() {
        let patience = Duration::from_secs(5);
        let reach = async |host: &str, port: i64| {
            let mut sample = waits(Some(host), port);
            knock(&mut sample, true, patience).await;
            sample.reach.into_values().next()
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i64::from(listener.local_addr().unwrap().port());
        let answers = Some(Reach::Answers);
        assert_eq!(reach("127.0.0.2,127.0.0.1", port).await, answers);
        assert_eq!(reach("127.0.0.1, 127.0.0.2", port).await, answers);
        let Some(Reach::Silent(why)) = reach("127.0.0.2,127.0.0.3", port).await else {
            panic!("nobody is there");
        };
        assert!(
            why.contains("127.0.0.2: ") && why.contains("127.0.0.3: "),
            "{why}"
        );
        assert_eq!(reach("/no/such/folder", 5432).await, None);
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        assert!(matches!(reach(folder, 5432).await, Some(Reach::Silent(_))));
    }
}
