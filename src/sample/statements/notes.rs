//! What a reading cannot show, and why: settings that are off, entries that are hidden or thrown away.

use std::collections::BTreeMap;

use super::column::Column;
use super::model::Snapshot;
use crate::ident::quote_if_needed;

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// `pg_stat_statements.track` is `none`.
    TrackNone,
    /// `compute_query_id` is `off`.
    NoQueryId,
    /// Entries are hidden from the role.
    Hidden,
    /// Entries were thrown away for want of room.
    Evicted,
    /// Entries of one key were added together.
    Merged,
    /// The extension is older than the server's.
    OldExtension,
    /// `track_io_timing` is off.
    NoIoTiming,
    /// `pg_stat_statements.track_planning` is off.
    NoPlanning,
    /// A setting that decides what is counted is another one for a role or in a database.
    Overridden,
    /// Entries marked as dbops's own were left out.
    Own,
    /// The same, and they take a part of the time that dbops does not take.
    OwnBusy,
}

impl About {
    /// Whether figures are missing or wrong because of it; otherwise some are just not counted.
    pub fn is_warning(self) -> bool {
        !matches!(self, Self::NoIoTiming | Self::NoPlanning | Self::Own)
    }
}

/// dbops's readings take less than this part of a server's time.
const BUSY: f64 = 0.01;

/// Something that a reading cannot show.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Note {
    /// What it is about.
    pub about: About,
    /// What was found, in words.
    pub text: String,
    /// The statement that changes it; run as superuser.
    pub fix: Option<String>,
}

impl Snapshot {
    /// Returns what this reading cannot show, in a fixed order.
    pub fn notes(&self) -> Vec<Note> {
        let origin = &self.origin;
        let setting = |name: &str| origin.settings.get(name).map(String::as_str);
        let mut notes = Vec::new();
        let mut note = |about: About, text: String, fix: Option<String>| {
            notes.push(Note { about, text, fix });
        };
        let set = |name: &str, value: &str| {
            Some(format!(
                "alter system set {name} = {value}; select pg_reload_conf();"
            ))
        };
        if setting("pg_stat_statements.track") == Some("none") {
            note(
                About::TrackNone,
                "pg_stat_statements.track is `none`: no statement is counted".to_owned(),
                set("pg_stat_statements.track", "'top'"),
            );
        }
        if setting("compute_query_id") == Some("off") {
            note(
                About::NoQueryId,
                "compute_query_id is `off`: no statement is counted, unless another module computes the identifiers".to_owned(),
                set("compute_query_id", "'auto'"),
            );
        }
        if origin.hidden > 0 {
            note(
                About::Hidden,
                format!(
                    "{} of {} entries, with {:.1} % of the execution time, are other roles' and hidden from {}",
                    origin.hidden,
                    origin.entries,
                    100.0 * self.hidden_share(),
                    origin.role
                ),
                Some(format!(
                    "grant pg_read_all_stats to {};",
                    quote_if_needed(&origin.role)
                )),
            );
        }
        let max = self.max_entries();
        if let Some(dealloc) = origin.dealloc.filter(|dealloc| *dealloc > 0) {
            let room = max.map_or_else(String::new, |max| format!(" of at most {max}"));
            note(
                About::Evicted,
                format!(
                    "{} entries{room}: the least used were thrown away {dealloc} times since the statistics began",
                    origin.entries
                ),
                max.map(|max| {
                    format!(
                        "alter system set pg_stat_statements.max = {};  -- then restart",
                        max.saturating_mul(2)
                    )
                }),
            );
        }
        if origin.merged > 0 {
            note(
                About::Merged,
                format!(
                    "version {} of the extension does not tell nested statements apart: {} entries were added to others of the same identifier",
                    origin.extension, origin.merged
                ),
                Some("alter extension pg_stat_statements update;".to_owned()),
            );
        }
        if let Some(newest) = shipped_version(origin.version_num)
            && is_older(&origin.extension, newest)
        {
            note(
                About::OldExtension,
                format!(
                    "version {} of the extension counts less than version {newest}, which this server brings",
                    origin.extension
                ),
                Some("alter extension pg_stat_statements update;".to_owned()),
            );
        }
        if setting("track_io_timing") == Some("off") {
            note(
                About::NoIoTiming,
                "track_io_timing is off: times of reading and writing are not known".to_owned(),
                set("track_io_timing", "on"),
            );
        }
        if setting("pg_stat_statements.track_planning") == Some("off") {
            note(
                About::NoPlanning,
                "pg_stat_statements.track_planning is off: planning times are not known".to_owned(),
                set("pg_stat_statements.track_planning", "on"),
            );
        }
        for (name, others) in self.overridden() {
            note(
                About::Overridden,
                format!(
                    "{name} is `{}` where this was read, and set apart {}: what is not counted for some is 0 in their entries",
                    setting(&name).unwrap_or("not known"),
                    others.join(", ")
                ),
                None,
            );
        }
        if origin.own > 0 {
            let share = 100.0 * origin.own_share;
            note(
                if origin.own_share >= BUSY {
                    About::OwnBusy
                } else {
                    About::Own
                },
                format!(
                    "{} entries with {} calls and {share:.1} % of the execution time are left out: they are marked as dbops's own, which anyone can write",
                    origin.own, origin.own_calls
                ),
                None,
            );
        }
        notes
    }

    /// Returns the settings that are others for roles or databases, in words.
    fn overridden(&self) -> BTreeMap<String, Vec<String>> {
        let origin = &self.origin;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &origin.overrides {
            if !origin.sets_apart(one) {
                continue;
            }
            let role = one
                .role
                .as_ref()
                .map(|name| format!("for role {}", quote_if_needed(name)));
            let database = one
                .database
                .as_ref()
                .map(|name| format!("in database {}", quote_if_needed(name)));
            let places: Vec<String> = role.into_iter().chain(database).collect();
            let words = format!("{} as `{}`", places.join(" "), one.value);
            found.entry(one.name.clone()).or_default().push(words);
        }
        found
    }

    /// Returns `pg_stat_statements.max`.
    pub fn max_entries(&self) -> Option<u64> {
        self.origin
            .settings
            .get("pg_stat_statements.max")?
            .parse()
            .ok()
    }

    /// Returns the part of all execution time that hidden entries have, from 0 to 1.
    ///
    /// With `track = all` time within functions counts twice; nested entries are left out where they are known.
    pub fn hidden_share(&self) -> f64 {
        let (mut hidden, mut all) = (0.0, 0.0);
        for entry in &self.entries {
            if entry.key.toplevel == Some(false) {
                continue;
            }
            let time = entry.counters.sum(Column::TotalExecTime);
            all += time;
            if entry.key.queryid.is_none() {
                hidden += time;
            }
        }
        if all > 0.0 { hidden / all } else { 0.0 }
    }
}

/// Returns the version of the extension that a server installs by default.
///
/// Source: `contrib/pg_stat_statements/pg_stat_statements.control` of each major.
pub fn shipped_version(version_num: i32) -> Option<&'static str> {
    match version_num / 10_000 {
        13 => Some("1.8"),
        14 => Some("1.9"),
        15 | 16 => Some("1.10"),
        17 => Some("1.11"),
        18 => Some("1.12"),
        _ => None,
    }
}

/// Returns whether a version of an extension comes before another; unlike texts, 1.9 is before 1.10.
pub fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|part| part.parse().unwrap_or_default())
            .collect()
    };
    numbers(version) < numbers(than)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Counters, Entry, Key, Origin, Override};
    use super::*;

    fn snapshot() -> Snapshot {
        let origin = Origin {
            version_num: 180_004,
            extension: "1.12".to_owned(),
            role: "Watcher".to_owned(),
            settings: [
                ("pg_stat_statements.max", "5000"),
                ("pg_stat_statements.track", "top"),
                ("pg_stat_statements.track_planning", "on"),
                ("compute_query_id", "auto"),
                ("track_io_timing", "on"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            dealloc: Some(0),
            ..Origin::default()
        };
        Snapshot {
            origin,
            ..Snapshot::default()
        }
    }

    fn entry(queryid: Option<i64>, toplevel: bool, time: f64) -> Entry {
        let mut counters = Counters::default();
        counters.set(Column::TotalExecTime, Some(time));
        let key = Key {
            dbid: 1,
            userid: 1,
            queryid,
            toplevel: Some(toplevel),
        };
        Entry {
            key,
            text: None,
            counters,
        }
    }

    #[test]
    fn a_server_that_counts_everything_has_no_notes() {
        assert_eq!(snapshot().notes(), []);
    }

    #[test]
    fn each_thing_that_is_off_has_its_note_and_its_fix() {
        for (name, value, about) in [
            ("pg_stat_statements.track", "none", About::TrackNone),
            ("compute_query_id", "off", About::NoQueryId),
            ("track_io_timing", "off", About::NoIoTiming),
            (
                "pg_stat_statements.track_planning",
                "off",
                About::NoPlanning,
            ),
        ] {
            let mut case = snapshot();
            case.origin
                .settings
                .insert(name.to_owned(), value.to_owned());
            let notes = case.notes();
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert_eq!(notes[0].about, about);
            assert!(
                notes[0].fix.as_ref().is_some_and(|fix| fix.contains(name)),
                "{notes:?}"
            );
        }
    }

    #[test]
    fn hidden_entries_are_counted_with_their_share_of_the_time_at_the_top_level() {
        let mut case = snapshot();
        case.entries = vec![
            entry(None, true, 30.0),
            entry(Some(1), true, 10.0),
            entry(Some(1), false, 500.0),
        ];
        case.origin.hidden = 4;
        case.origin.entries = 6;
        let notes = case.notes();
        assert_eq!(
            notes[0].text,
            "4 of 6 entries, with 75.0 % of the execution time, are other roles' and hidden from Watcher"
        );
        assert_eq!(
            notes[0].fix.as_deref(),
            Some("grant pg_read_all_stats to \"Watcher\";")
        );
    }

    #[test]
    fn what_is_set_for_a_role_or_a_database_is_told_by_name() {
        let mut case = snapshot();
        let set = |value: &str, role: Option<&str>, database: Option<&str>| Override {
            name: "track_io_timing".to_owned(),
            value: value.to_owned(),
            role: role.map(str::to_owned),
            database: database.map(str::to_owned),
        };
        case.origin.overrides = vec![set("on", Some("web"), None)];
        assert_eq!(case.notes(), []);
        assert_eq!(case.origin.setting_of_all("track_io_timing"), Some("on"));
        case.origin.overrides = vec![
            set("off", Some("Batch"), Some("app")),
            set("off", None, Some("old")),
        ];
        let notes = case.notes();
        assert_eq!(notes[0].about, About::Overridden);
        assert_eq!(
            notes[0].text,
            "track_io_timing is `on` where this was read, and set apart for role \"Batch\" in database app as `off`, in database old as `off`: what is not counted for some is 0 in their entries"
        );
        assert_eq!(case.origin.setting_of_all("track_io_timing"), None);
        // What was read may hold for the reading role alone.
        case.origin.overrides = vec![set("on", Some("Watcher"), None)];
        assert_eq!(case.origin.setting_of_all("track_io_timing"), None);
    }

    #[test]
    fn entries_marked_as_own_are_counted_and_busy_ones_are_a_warning() {
        let mut case = snapshot();
        case.origin.own = 3;
        case.origin.own_calls = 70.0;
        case.origin.own_share = 0.002;
        let note = |case: &Snapshot| case.notes().remove(0);
        assert!(!note(&case).about.is_warning());
        assert!(
            note(&case)
                .text
                .starts_with("3 entries with 70 calls and 0.2 % of")
        );
        case.origin.own_share = 0.3;
        assert!(note(&case).about.is_warning());
    }

    #[test]
    fn evictions_and_old_extensions_are_told() {
        let mut case = snapshot();
        case.origin.dealloc = Some(3);
        case.origin.extension = "1.9".to_owned();
        let abouts: Vec<_> = case.notes().iter().map(|note| note.about).collect();
        assert_eq!(abouts, [About::Evicted, About::OldExtension]);
        assert!(is_older("1.9", "1.10") && !is_older("1.10", "1.9") && !is_older("1.10", "1.10"));
    }
}
