//! Figures for rules from what a server is asked at each look.

use std::sync::Arc;

use super::judge::{Labels, Measured, Reading};
use super::reason::Reason;
use super::verdict::{Gathered, Raw, Seen};
use crate::sample::replication::model::Holder;
use crate::sample::vitals::{NoDisk, Vitals};

/// What can keep VACUUM from removing dead rows, as the query of holders names it.
const HOLDERS: [&str; 5] = ["slot", "slot-catalog", "replica", "prepared", "session"];

/// The figures of a node; `node` are its labels.
pub fn vitals(node: &Arc<Labels>, found: &Vitals) -> Gathered {
    let mut all = Gathered::default();
    let with = |key: &str, value: &str| {
        let mut labels = (**node).clone();
        labels.insert(key.to_owned(), value.into());
        Arc::new(labels)
    };
    if let Some(cache) = &found.cache {
        all.raw.push(Raw {
            metric: "cache.hit_ratio",
            labels: with("database", &cache.database),
            seen: Seen::Counters {
                part: cache.hit,
                whole: cache.all,
                epoch: cache.epoch.clone(),
            },
        });
    }
    let mut push = |metric, labels: Arc<Labels>, reading, basis: String| {
        all.measured.push(Measured {
            metric,
            labels,
            reading,
            basis: basis.into(),
            resolution: None,
        });
    };
    match &found.disks {
        None => {}
        Some(Ok(disks)) => {
            for disk in disks {
                push(
                    "disk.used",
                    with("directory", disk.directory),
                    part(disk.used, disk.all),
                    format!("{} of {} bytes", disk.used, disk.all),
                );
            }
        }
        Some(Err(why)) => {
            let (reason, why) = match why {
                NoDisk::NotLocal(why) => (Reason::NotLocal, why.clone()),
                NoDisk::NoPrivilege => (
                    Reason::NoPrivilege,
                    "the role may not know where the server's files are".to_owned(),
                ),
            };
            let unknown = Reading::unknown(reason, why);
            push("disk.used", Arc::clone(node), unknown, String::new());
        }
    }
    if let Some((number, oldest)) = found.prepared {
        push(
            "prepared.oldest_age",
            Arc::clone(node),
            // Without any there is none that waits.
            Reading::Value(oldest.unwrap_or(0.0).max(0.0)),
            format!("{number} prepared transactions"),
        );
    }
    if let Some(holders) = &found.holders {
        for kind in HOLDERS {
            let (reading, basis) = held(kind, holders, found.sees_all);
            push("xmin.held_age", with("holder", kind), reading, basis);
        }
    }
    all
}

/// By how many transactions a kind of holder is behind.
fn held(kind: &str, holders: &[Holder], sees_all: bool) -> (Reading, String) {
    // Sessions and senders of others are hidden without the right, which looks like there being none.
    if !sees_all && matches!(kind, "session" | "replica") {
        let why = "the role does not see what others hold";
        return (Reading::unknown(Reason::NoPrivilege, why), String::new());
    }
    // Of several that hold as much the first one is named.
    let oldest = holders.iter().rev().filter(|one| one.kind == kind);
    match oldest.max_by_key(|one| one.xids) {
        Some(Holder {
            xids: Some(xids),
            name,
            ..
        }) => (
            Reading::Value(f64::from(*xids)),
            name.clone().unwrap_or_default(),
        ),
        _ => (Reading::Value(0.0), "nothing is held".to_owned()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for a threshold")]
fn part(used: u64, all: u64) -> Reading {
    if all == 0 {
        return Reading::unknown(Reason::NoSample, "the file system tells no size");
    }
    Reading::Value(100.0 * used as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::measure::labels;
    use crate::sample::disk::Disk;

    fn holder(kind: &str, xids: i32) -> Holder {
        Holder {
            kind: kind.to_owned(),
            name: Some("it".to_owned()),
            xids: Some(xids),
            ..Holder::default()
        }
    }

    fn node() -> Arc<Labels> {
        Arc::new(labels(&[("target", "main"), ("node", "primary")]))
    }

    #[test]
    fn holders_are_told_apart_and_hidden_ones_are_not_zero() {
        let mut found = Vitals {
            holders: Some(vec![holder("slot", 7), holder("slot", 9)]),
            ..Vitals::default()
        };
        let of = |found: &Vitals, kind: &str| {
            let all = vitals(&node(), found).measured;
            let one = all.into_iter().find(|one| &*one.labels["holder"] == kind);
            one.unwrap().reading
        };
        assert_eq!(of(&found, "slot"), Reading::Value(9.0));
        assert_eq!(of(&found, "prepared"), Reading::Value(0.0));
        assert!(matches!(
            of(&found, "session"),
            Reading::Unknown {
                reason: Reason::NoPrivilege,
                ..
            }
        ));
        found.sees_all = true;
        assert_eq!(of(&found, "session"), Reading::Value(0.0));
    }

    #[test]
    fn disks_are_per_cent_or_not_local() {
        let mut found = Vitals {
            disks: Some(Ok(vec![Disk {
                directory: "data",
                used: 30,
                all: 40,
            }])),
            ..Vitals::default()
        };
        let all = vitals(&node(), &found).measured;
        assert_eq!(all[0].reading, Reading::Value(75.0));
        assert_eq!(&*all[0].labels["directory"], "data");
        found.disks = Some(Err(NoDisk::NotLocal("elsewhere".to_owned())));
        let all = vitals(&node(), &found).measured;
        assert!(matches!(
            all[0].reading,
            Reading::Unknown {
                reason: Reason::NotLocal,
                ..
            }
        ));
    }
}
