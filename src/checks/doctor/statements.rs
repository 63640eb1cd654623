//! pg_stat_statements: whether it can be read, counts everything, and has room for it.

use super::{Check, Facts};
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::notes::{About, Note, shipped_version};
use crate::sample::statements::unavailable::Reason;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    let snapshot = match facts.statements {
        Ok(snapshot) => snapshot,
        // `pg-stat-statements` tells of these already.
        Err(none) if matches!(none.reason, Reason::Missing | Reason::NotPreloaded) => {
            return Vec::new();
        }
        Err(none) => {
            let check = Check::warning("statements-readable", &none.message)
                .why("`dbops queries` has nothing to read");
            return vec![none.fix.iter().fold(check, Check::fix)];
        }
    };
    let notes = snapshot.notes();
    let of = |abouts: &[About]| -> Vec<&Note> {
        notes
            .iter()
            .filter(|note| abouts.contains(&note.about))
            .collect()
    };
    let setting = |name: &str| snapshot.origin.settings.get(name).map(String::as_str);
    vec![
        judge(
            "statements-counted",
            &of(&[About::TrackNone, About::NoQueryId]),
            "nothing is added to what `dbops queries` reads",
            format!(
                "pg_stat_statements.track is {}",
                setting("pg_stat_statements.track").unwrap_or("unknown")
            ),
        ),
        judge(
            "statements-version",
            &of(&[About::OldExtension, About::Merged]),
            "columns are missing: what is not counted cannot be judged",
            match shipped_version(snapshot.origin.version_num) {
                Some(shipped) => format!(
                    "version {}, the server brings {shipped}",
                    snapshot.origin.extension
                ),
                None => format!("version {}", snapshot.origin.extension),
            },
        ),
        room(snapshot, &of(&[About::Evicted])),
        judge(
            "statements-visible",
            &of(&[About::Hidden]),
            "texts and identities of other roles' statements are not shown: they are in no report but in the totals",
            "the role sees the statements of all roles".to_owned(),
        ),
        timing(&of(&[About::NoIoTiming, About::NoPlanning])),
    ]
}

fn judge(id: &'static str, notes: &[&Note], why: &str, fine: String) -> Check {
    if notes.is_empty() {
        return Check::ok(id, fine);
    }
    let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
    let mut check = Check::warning(id, texts.join("; ")).why(why);
    for fix in notes.iter().filter_map(|note| note.fix.as_ref()) {
        if !check.fix.contains(fix) {
            check = check.fix(fix);
        }
    }
    check
}

fn room(snapshot: &Snapshot, evicted: &[&Note]) -> Check {
    let id = "statements-room";
    let entries = snapshot.origin.entries;
    let Some(max) = snapshot.max_entries() else {
        return Check::ok(id, format!("{entries} entries"));
    };
    // Evictions of long ago, with room now, are not worth a warning.
    let almost = entries as f64 >= 0.9 * max as f64;
    match evicted {
        [] if !almost || snapshot.origin.dealloc.is_some() => {
            Check::ok(id, format!("{entries} of at most {max} entries"))
        }
        [] => Check::warning(
            id,
            format!("{entries} of at most {max} entries; this version of the extension does not count those that are thrown away"),
        )
        .why("where there is no room the least used statements are thrown away, and what they counted with them")
        .fix(format!("alter system set pg_stat_statements.max = {};  -- then restart", max.saturating_mul(2))),
        _ if !almost => Check::ok(id, format!("{entries} of at most {max} entries; some were thrown away in the past")),
        notes => judge(
            id,
            notes,
            "the least used statements are thrown away, and what they counted with them",
            String::new(),
        ),
    }
}

/// What costs something to count is a choice: it is told, and no fault.
fn timing(notes: &[&Note]) -> Check {
    let id = "statements-timing";
    if notes.is_empty() {
        return Check::ok(id, "planning and times of reading and writing are counted");
    }
    let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
    let check = Check::ok(id, texts.join("; "))
        .why("nothing needs them; they tell slow planning and slow disks from slow statements, and cost a little");
    notes
        .iter()
        .filter_map(|note| note.fix.as_ref())
        .fold(check, Check::fix)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::Case;
    use crate::sample::statements::model::{Entry, Key};
    use crate::sample::statements::unavailable::{Reason, Unavailable};

    const IDS: [&str; 5] = [
        "statements-counted",
        "statements-version",
        "statements-room",
        "statements-visible",
        "statements-timing",
    ];

    #[test]
    fn a_server_that_counts_everything_is_fine() {
        let case = Case::healthy();
        for id in IDS {
            assert_eq!(case.state(id), State::Ok, "{id}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_a_warning_with_its_fix() {
        type Break = fn(&mut crate::sample::statements::model::Snapshot);
        let breaks: [(&str, &str, Break); 5] = [
            (
                "statements-counted",
                "pg_stat_statements.track = 'top'",
                |snapshot| {
                    snapshot
                        .origin
                        .settings
                        .insert("pg_stat_statements.track".to_owned(), "none".to_owned());
                },
            ),
            ("statements-counted", "compute_query_id", |snapshot| {
                snapshot
                    .origin
                    .settings
                    .insert("compute_query_id".to_owned(), "off".to_owned());
            }),
            (
                "statements-version",
                "alter extension pg_stat_statements update;",
                |snapshot| {
                    snapshot.origin.extension = "1.9".to_owned();
                },
            ),
            (
                "statements-room",
                "pg_stat_statements.max = 10000",
                |snapshot| {
                    snapshot.origin.entries = 4_900;
                    snapshot.origin.dealloc = Some(3);
                },
            ),
            (
                "statements-visible",
                "grant pg_read_all_stats to dba;",
                |snapshot| {
                    snapshot.origin.hidden = 1;
                    snapshot.entries.push(Entry {
                        key: Key {
                            dbid: 1,
                            userid: 1,
                            queryid: None,
                            toplevel: None,
                        },
                        text: None,
                        counters: Default::default(),
                    });
                },
            ),
        ];
        for (id, fix, change) in breaks {
            let mut case = Case::healthy();
            let mut snapshot = case.statements.clone().unwrap();
            change(&mut snapshot);
            case.statements = Ok(snapshot);
            assert_eq!(case.state(id), State::Warning, "{id}");
            let check = case.of(id).remove(0);
            assert!(check.fix.iter().any(|one| one.contains(fix)), "{check:?}");
        }
    }

    #[test]
    fn evictions_of_the_past_with_room_now_are_no_fault() {
        let mut case = Case::healthy();
        let mut snapshot = case.statements.clone().unwrap();
        snapshot.origin.dealloc = Some(3);
        case.statements = Ok(snapshot);
        assert_eq!(case.state("statements-room"), State::Ok);
    }

    #[test]
    fn what_cannot_be_read_is_told_once() {
        let mut case = Case::healthy();
        let none = |reason| Unavailable {
            reason,
            message: "it cannot be read".to_owned(),
            fix: vec!["grant it".to_owned()],
        };
        case.statements = Err(none(Reason::NoRight));
        assert_eq!(case.state("statements-readable"), State::Warning);
        assert!(case.of("statements-counted").is_empty());
        case.statements = Err(none(Reason::Missing));
        assert!(case.of("statements-readable").is_empty());
    }
}
