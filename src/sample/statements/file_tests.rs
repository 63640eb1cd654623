//! What is written is read again as it was; what is damaged is told with its place.

use super::*;

fn reading(at: f64, entries: &[(i64, Option<&str>, f64)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.origin.taken_at = at;
    snapshot.origin.extension = "1.10".to_owned();
    snapshot.origin.stats_reset = Some(1_790_000_000.123_456);
    snapshot.databases.insert(16_384, "app".to_owned());
    snapshot.entries = entries
        .iter()
        .map(|&(id, text, calls)| {
            let mut counters = Counters::default();
            counters.set(Column::Calls, Some(calls));
            counters.set(Column::TotalExecTime, Some(calls * 0.1));
            Entry {
                key: Key {
                    dbid: 16_384,
                    userid: 10,
                    queryid: (id != 0).then_some(id),
                    toplevel: Some(true),
                },
                text: text.map(Arc::from),
                counters,
            }
        })
        .collect();
    snapshot.entries.sort_by_key(|entry| entry.key);
    snapshot
}

fn lines(readings: &[Snapshot]) -> String {
    let mut writer = Writer::begin(Vec::new()).unwrap();
    for reading in readings {
        writer.add(reading).unwrap();
    }
    String::from_utf8(writer.end().unwrap()).unwrap()
}

fn several() -> Vec<Snapshot> {
    vec![
        reading(
            1.0,
            &[
                (0, None, 4.0),
                (i64::MIN, Some("select 'ä\n\u{1}'"), 1e15 + 1.0),
                (7, Some("b"), 3.0),
                (8, Some("b"), 3.0),
            ],
        ),
        reading(
            2.0,
            &[
                (0, None, 4.0),
                (i64::MIN, Some("select 'ä\n\u{1}'"), 2e15),
                (7, Some("b"), 3.0),
            ],
        ),
        reading(3.0, &[(9, Some("c"), 0.1 + 0.2), (7, Some("b"), 3.0)]),
    ]
}

#[test]
fn readings_come_back_as_they_were() {
    let text = lines(&several());
    assert_eq!(read(text.as_bytes()).unwrap(), several());
    // The text of two entries is there once, and an entry that did not change is not there again.
    assert_eq!(text.matches("{\"text\":\"b\"}").count(), 1);
    assert_eq!(text.matches("\"7\"").count(), 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.gz");
    save(&path, &several()).unwrap();
    assert_eq!(load(&path).unwrap(), several());
    let refused = save(&path, &several()).unwrap_err().to_string();
    assert!(refused.ends_with("some.gz exists already"), "{refused}");
}

#[test]
fn a_text_that_was_read_before_need_not_be_read_again() {
    let mut readings = several();
    for entry in &mut readings[1].entries {
        entry.text = None;
    }
    readings.truncate(2);
    let back = read(lines(&readings).as_bytes()).unwrap();
    assert_eq!(back[1].entries, several()[1].entries);
}

#[test]
fn columns_of_a_newer_dbops_are_left_out() {
    let text = lines(&several()).replace("\"rows\"", "\"rows_of_tomorrow\"");
    let back = read(text.as_bytes()).unwrap();
    assert_eq!(back.len(), 3);
}

#[test]
fn a_damaged_file_is_told_with_its_line() {
    let good = lines(&several());
    let edit = |line: usize, with: &str| -> String {
        let mut all: Vec<&str> = good.lines().collect();
        all[line - 1] = with;
        all.join("\n") + "\n"
    };
    let until = |line: usize| -> String {
        let some: Vec<&str> = good.lines().take(line).collect();
        some.join("\n") + "\n"
    };
    let width = Column::ALL.len();
    for (text, line, message) in [
        (String::new(), 0, "the file is empty".to_owned()),
        (
            "hello\n".to_owned(),
            1,
            format!("this is no file of the format {FORMAT}"),
        ),
        (
            "{\"format\":\"dbops.statements/2\"}\n".to_owned(),
            1,
            format!("the format is dbops.statements/2; this dbops reads {FORMAT}"),
        ),
        (
            "{\"format\":\"dbops.changeset/1\"}\n".to_owned(),
            1,
            format!("this is a file of the format dbops.changeset/1, not of {FORMAT}"),
        ),
        (
            until(4),
            0,
            "the file ends before its last line: it was cut off".to_owned(),
        ),
        (
            edit(3, "[16384,10,null,true,null,[1,2]]"),
            3,
            format!("2 figures where {width} are announced"),
        ),
        (
            edit(
                3,
                &format!("[16384,10,\"x\",true,null,[{}1]]", "1,".repeat(width - 1)),
            ),
            3,
            "`x` is no queryid".to_owned(),
        ),
        (
            edit(
                3,
                &format!("[16384,10,\"5\",true,6,[{}1]]", "1,".repeat(width - 1)),
            ),
            3,
            "there is no text 6 before".to_owned(),
        ),
        (
            edit(
                good.lines().count(),
                "{\"end\":{\"readings\":3,\"entries\":99}}",
            ),
            good.lines().count(),
            "entries are missing: the file was changed".to_owned(),
        ),
    ] {
        assert_eq!(
            read(text.as_bytes()),
            Err(Fault { line, message }),
            "{text}"
        );
    }
    // Bytes that are no compressed file, and one that was cut off.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(good.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(read(&packed[..]).unwrap(), several());
    for damaged in [&packed[..packed.len() / 2], &[0x1f, 0x8b, 0, 0, 9, 9, 9]] {
        assert!(read(damaged).unwrap_err().message.contains("damaged"));
    }
}
