//! Invalid indexes: dead leftovers, builds in flight, half-finished drops, debris of REINDEX, and parents that
//! some partition has no valid part for.

use super::{Finding, Inputs, Kind, Verdict};
use crate::catalog::index_model::{IndexedTable, LiveIndex, RunningBuild, TableKind};
use crate::ident::QualifiedName;
use crate::syntax::Build;

use super::shape;

pub(super) fn find(inputs: Inputs<'_>) -> Vec<Finding> {
    inputs
        .catalog
        .tables
        .iter()
        .flat_map(|table| {
            let invalid = |index: &&LiveIndex| !index.valid || !index.live;
            table.indexes.iter().filter(invalid).map(move |index| {
                if index.partitioned {
                    parent(inputs, table, index)
                } else {
                    judge(inputs, table, index)
                }
            })
        })
        .collect()
}

fn judge(inputs: Inputs<'_>, table: &IndexedTable, index: &LiveIndex) -> Finding {
    let finding = |verdict, summary: String| {
        Finding::new(Kind::Invalid, verdict, &table.name, summary)
            .of(&index.name)
            .because(index.definition.clone())
            .figure("bytes", index.bytes as f64)
    };
    let debris = of_reindex(&index.name.name);
    if let Some(build) = building(
        inputs.catalog.running.as_slice(),
        table,
        index,
        debris.is_some(),
    ) {
        let done = build
            .done
            .map(|share| format!(", {:.0} % of this phase", share * 100.0))
            .unwrap_or_default();
        let who = build.application.as_deref().filter(|name| !name.is_empty());
        let who = who.map(|name| format!(" ({name})")).unwrap_or_default();
        return finding(
            Verdict::Keep,
            format!(
                "{} is being worked on by pid {}{who}: {}, {}{done}",
                index.name, build.pid, build.command, build.phase
            ),
        )
        .next("wait: a drop or rebuild of it now would end what is in flight");
    }
    if let Some(pid) = holder(inputs, index.oid) {
        return finding(
            Verdict::NotProven,
            format!(
                "{} is invalid, and pid {pid} holds a lock on it: it is being worked on",
                index.name
            ),
        )
        .next(format!(
            "see what it is: select * from pg_stat_activity where pid = {pid};"
        ));
    }
    if let Some(pid) = holder(inputs, table.oid) {
        return finding(
            Verdict::NotProven,
            format!(
                "{} is invalid, and pid {pid} holds a lock on {} as index builds do: it may be being built",
                index.name, table.name
            ),
        )
        .next(format!("see what it is: select * from pg_stat_activity where pid = {pid};"));
    }
    let drop = format!("drop index concurrently {};", index.name.sql());
    let reindex = format!("reindex index concurrently {};", index.name.sql());
    let burden = if index.ready && index.definition.starts_with("CREATE UNIQUE") {
        "no query uses it; each write maintains it, and it still rejects duplicates"
    } else if index.ready {
        "no query uses it; each write maintains it"
    } else {
        "no query uses it; updates of its columns still cannot be HOT"
    };
    if !index.live {
        let mut found = finding(
            Verdict::Advice,
            format!(
                "{} is half dropped: a concurrent drop was cut short",
                index.name
            ),
        )
        .because("it is dead to reads and writes; only the drop can be finished")
        .next(drop);
        found.frees_bytes = Some(index.bytes);
        return found;
    }
    if let Some(original) = debris.filter(|_| index.constraint.is_none() && index.parent.is_none())
    {
        let original = QualifiedName::new(index.name.schema.clone(), original);
        let mut found = finding(
            Verdict::Advice,
            format!(
                "{} is left over from a REINDEX CONCURRENTLY of {original} that was cut short",
                index.name
            ),
        )
        .because(burden)
        .next(drop);
        if let Some(kept) = table.indexes.iter().find(|one| one.name == original) {
            found = found.because(format!(
                "{original} is {}",
                if kept.valid {
                    "there and valid"
                } else {
                    "invalid too"
                }
            ));
        }
        found.frees_bytes = Some(index.bytes);
        return found;
    }
    let cut = if index.ready {
        "a concurrent build was cut short after its first scan, or a concurrent drop before it began"
    } else {
        "a concurrent build was cut short"
    };
    let mut found = finding(Verdict::Advice, format!("{} is invalid: {cut}", index.name))
        .because(burden)
        .next(reindex);
    if let Some(parent) = &index.parent {
        found = found.because(format!("it is the part of {parent} in {}", table.name));
        if inputs.catalog.server.version_num < 140_000 {
            found = found.because(format!(
                "before PostgreSQL 14 {parent} does not become valid by that; `dbops indexes apply` puts that right"
            ));
        } else {
            found = found.next(attach(parent, &index.name));
        }
    } else if index.constraint.is_none() {
        found = found.next(format!("or, if it is not wanted: {drop}"));
        found.frees_bytes = Some(index.bytes);
    }
    found
}

/// The build that works on an index, if one does. One that does not tell its index yet counts for all of its table.
fn building<'a>(
    running: &'a [RunningBuild],
    table: &IndexedTable,
    index: &LiveIndex,
    debris: bool,
) -> Option<&'a RunningBuild> {
    running
        .iter()
        .find(|build| build.index.as_ref() == Some(&index.name))
        .or_else(|| {
            running.iter().find(|build| {
                build.table == table.name
                    && (build.index.is_none()
                    // REINDEX TABLE CONCURRENTLY has all its new indexes at once and tells one.
                    || (debris && build.command.starts_with("REINDEX")))
            })
        })
}

fn holder(inputs: Inputs<'_>, oid: u32) -> Option<i32> {
    inputs.facts.holders.get(&oid)?.first().copied()
}

/// `name` of `name_ccnew`, `name_ccnew1`, `name_ccold` …
fn of_reindex(name: &str) -> Option<&str> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem
        .strip_suffix("_ccnew")
        .or_else(|| stem.strip_suffix("_ccold"))?;
    (!stem.is_empty()).then_some(stem)
}

fn attach(parent: &QualifiedName, child: &QualifiedName) -> String {
    format!(
        "alter index {} attach partition {};",
        parent.sql(),
        child.sql()
    )
}

/// An invalid index of a partitioned table: which partitions lack their part.
fn parent(inputs: Inputs<'_>, table: &IndexedTable, index: &LiveIndex) -> Finding {
    let mut finding = Finding::new(Kind::Invalid, Verdict::Advice, &table.name, String::new())
        .of(&index.name)
        .because(index.definition.clone());
    let (mut lacking, mut invalid, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
    for name in &table.partitions {
        let Some(child) = inputs.catalog.tables.iter().find(|one| one.name == *name) else {
            continue;
        };
        if child.kind == TableKind::Foreign {
            foreign.push(name.to_string());
            continue;
        }
        match child
            .indexes
            .iter()
            .find(|one| one.parent.as_ref() == Some(&index.name))
        {
            None => lacking.push(child),
            Some(part) if !part.valid => invalid.push(part),
            Some(_) => {}
        }
    }
    let list = |names: Vec<String>| names.join(", ");
    if let Some(build) = inputs
        .catalog
        .running
        .iter()
        .find(|build| build.table == table.name || table.partitions.contains(&build.table))
    {
        finding.verdict = Verdict::NotProven;
        finding.summary = format!(
            "{} is not valid yet, and pid {} builds an index of {}",
            index.name, build.pid, build.table
        );
        return finding.next("wait until that build has ended");
    }
    finding.summary = if !lacking.is_empty() {
        format!(
            "{} is invalid: {} of {} partitions have no index attached to it",
            index.name,
            lacking.len(),
            table.partitions.len()
        )
    } else if !invalid.is_empty() {
        format!(
            "{} is invalid: {} of its parts are invalid",
            index.name,
            invalid.len()
        )
    } else if !foreign.is_empty() {
        format!(
            "{} cannot become valid: foreign tables among the partitions have no indexes",
            index.name
        )
    } else {
        format!(
            "{} is invalid although each partition has its valid part",
            index.name
        )
    };
    finding = finding
        .figure("partitions", table.partitions.len() as f64)
        .figure("lacking", lacking.len() as f64)
        .figure("invalid_parts", invalid.len() as f64);
    if !lacking.is_empty() {
        let names = lacking.iter().map(|child| child.name.to_string()).collect();
        finding = finding.because(format!("without: {}", list(names)));
    }
    if !invalid.is_empty() {
        let names = invalid.iter().map(|part| part.name.to_string()).collect();
        finding = finding.because(format!("invalid: {}", list(names)));
    }
    if !foreign.is_empty() {
        finding.verdict = Verdict::Keep;
        return finding.because(format!("foreign tables: {}", list(foreign)));
    }
    for part in &invalid {
        finding = if part.partitioned {
            finding.next(format!(
                "repair {} first; it has its own entry here",
                part.name
            ))
        } else {
            finding.next(format!("reindex index concurrently {};", part.name.sql()))
        };
    }
    if let Some(spec) = shape::spec(index) {
        for child in &lacking {
            let name = part_name(child, &index.name.name);
            let (build, child_index) = if child.kind == TableKind::Partitioned {
                (
                    Build::Only,
                    QualifiedName::new(child.name.schema.clone(), name.clone()),
                )
            } else {
                (
                    Build::Concurrently,
                    QualifiedName::new(child.name.schema.clone(), name.clone()),
                )
            };
            finding = finding
                .next(format!("{};", spec.sql(build, &child.name, &name)))
                .next(attach(&index.name, &child_index));
        }
    }
    let flips = inputs.catalog.server.version_num >= 140_000;
    let part = table.partitions.iter().find_map(|name| {
        let child = inputs.catalog.tables.iter().find(|one| one.name == *name)?;
        child
            .indexes
            .iter()
            .find(|one| one.parent.as_ref() == Some(&index.name))
    });
    if let Some(part) = part.filter(|_| lacking.is_empty()) {
        finding = if flips {
            // Attaching what is attached checks again whether all parts are valid.
            finding.next(attach(&index.name, &part.name))
        } else {
            finding.next("declare it in a plan file: `dbops indexes apply` replaces it, which PostgreSQL 13 has no smaller remedy for")
        };
    }
    finding
}

fn part_name(child: &IndexedTable, parent: &str) -> String {
    let mut number = 0;
    loop {
        let ending = if number == 0 {
            String::new()
        } else {
            format!("_{number}")
        };
        let mut stem = format!("{}_{parent}", child.name.name);
        while stem.len() + ending.len() > crate::ident::MAX_NAME_BYTES {
            stem.pop();
        }
        let name = stem + &ending;
        if !child.indexes.iter().any(|index| index.name.name == name) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, index, name, table};
    use super::*;

    fn broken(sql: &str) -> LiveIndex {
        LiveIndex {
            valid: false,
            scans: Some(0),
            ..index(sql)
        }
    }

    fn build(command: &str, index: Option<&str>) -> RunningBuild {
        RunningBuild {
            pid: 42,
            application: Some("deploy".to_owned()),
            role: None,
            table: name("t"),
            index: index.map(name),
            command: command.to_owned(),
            phase: "building index".to_owned(),
            done: Some(0.5),
            seconds: Some(3.0),
        }
    }

    fn only(case: &Case) -> Finding {
        let found = case.findings();
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    }

    #[test]
    fn a_dead_leftover_has_its_repair() {
        let found = only(&Case::indexes(vec![broken("create index i on t (a)")]));
        assert_eq!(
            (found.kind, found.verdict),
            (Kind::Invalid, Verdict::Advice)
        );
        assert_eq!(
            found.next[0],
            "reindex index concurrently \"public\".\"i\";"
        );
        let unique = only(&Case::indexes(vec![broken(
            "create unique index i on t (a)",
        )]));
        assert!(
            unique
                .evidence
                .iter()
                .any(|one| one.contains("still rejects duplicates"))
        );
        let unready = LiveIndex {
            ready: false,
            ..broken("create index i on t (a)")
        };
        let unready = only(&Case::indexes(vec![unready]));
        assert!(
            unready
                .evidence
                .iter()
                .any(|one| one.contains("cannot be HOT"))
        );
    }

    #[test]
    fn a_build_in_flight_is_left_alone() {
        let mut case = Case::indexes(vec![broken("create index i on t (a)")]);
        for (command, index) in [
            ("CREATE INDEX CONCURRENTLY", Some("i")),
            ("CREATE INDEX CONCURRENTLY", None),
            ("DROP INDEX CONCURRENTLY", Some("i")),
        ] {
            case.catalog.running = vec![build(command, index)];
            let found = only(&case);
            assert_eq!(found.verdict, Verdict::Keep, "{command}");
            assert!(found.summary.contains("pid 42 (deploy)"));
        }
        case.catalog.running = vec![build("CREATE INDEX CONCURRENTLY", Some("other"))];
        assert_eq!(only(&case).verdict, Verdict::Advice);
        let table_oid = case.table("t").oid;
        case.facts.holders.insert(table_oid, vec![7]);
        assert_eq!(only(&case).verdict, Verdict::NotProven);
    }

    #[test]
    fn debris_of_reindex_is_dropped_and_a_running_one_is_not() {
        let mut case = Case::indexes(vec![
            index("create index i on t (a)"),
            broken("create index i_ccnew1 on t (a)"),
        ]);
        let found = only(&case);
        assert_eq!(
            found.next,
            ["drop index concurrently \"public\".\"i_ccnew1\";"]
        );
        assert_eq!(found.frees_bytes, Some(1 << 20));
        case.catalog.running = vec![build("REINDEX CONCURRENTLY", Some("j_ccnew"))];
        assert_eq!(only(&case).verdict, Verdict::Keep);
        assert_eq!(of_reindex("i_ccold"), Some("i"));
        assert_eq!(of_reindex("_ccnew"), None);
        assert_eq!(of_reindex("i_ccnewer"), None);
    }

    #[test]
    fn a_half_dropped_index_can_only_be_dropped() {
        let dead = LiveIndex {
            live: false,
            ready: false,
            ..broken("create index i on t (a)")
        };
        let found = only(&Case::indexes(vec![dead]));
        assert!(found.summary.contains("half dropped"));
        assert_eq!(found.next, ["drop index concurrently \"public\".\"i\";"]);
    }

    #[test]
    fn an_invalid_parent_names_what_it_lacks() {
        let mut parent = table("t");
        parent.kind = TableKind::Partitioned;
        parent.partitions = vec![name("l1"), name("l2"), name("l3")];
        parent.indexes = vec![LiveIndex {
            partitioned: true,
            ..broken("create index i on only t (a)")
        }];
        let part = |text: &str| LiveIndex {
            parent: Some(name("i")),
            ..index(&format!("create index {text}_i on {text} (a)"))
        };
        let mut l1 = table("l1");
        l1.indexes = vec![part("l1")];
        let mut l2 = table("l2");
        l2.indexes = vec![LiveIndex {
            valid: false,
            ..part("l2")
        }];
        let mut case = Case::of(vec![parent, l1, l2, table("l3")]);
        let found = case.findings();
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[1]
                .summary
                .contains("1 of 3 partitions have no index attached"),
            "{found:#?}"
        );
        assert!(
            found[1]
                .next
                .contains(&"reindex index concurrently \"public\".\"l2_i\";".to_owned())
        );
        assert!(found[1].next.iter().any(|step| {
            step.starts_with("create index concurrently \"l3_i\" on \"public\".\"l3\"")
        }));
        // With all parts valid, attaching one again turns the parent valid; on 13 nothing small does.
        case.catalog.tables[2].indexes[0].valid = true;
        let l3 = part("l3");
        case.table("l3").indexes.push(l3);
        assert_eq!(
            only(&case).next,
            ["alter index \"public\".\"i\" attach partition \"public\".\"l1_i\";"]
        );
        case.catalog.server.version_num = 130_000;
        assert!(only(&case).next[0].contains("dbops indexes apply"));
    }
}
