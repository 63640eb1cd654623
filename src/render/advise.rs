//! `indexes advise` for people, as JSON, and as a section of a plan file.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::json::pretty;
use super::starter::{quoted, scalar, visible};
use super::words::{bytes, clean};
use crate::checks::advise::{Finding, Kind, Planned, Verdict};
use crate::failure::Exit;
use crate::ident::MAX_NAME_BYTES;
use crate::syntax::{DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget};

/// One target's advice.
#[derive(Debug, Clone, Serialize)]
pub struct AdviceReport {
    /// The target's name.
    pub target: String,
    /// The database.
    pub database: String,
    /// Nodes whose statistics were read, the primary first.
    pub nodes: Vec<AdviceNode>,
    /// Declared nodes that were not reached.
    pub unreached: Vec<UnreachedNode>,
    /// Findings: advice first, then by kind, table and index.
    pub findings: Vec<Finding>,
}

/// A node whose statistics were read.
#[derive(Debug, Clone, Serialize)]
pub struct AdviceNode {
    /// Its name.
    pub node: String,
    /// How many seconds its statistics reach back.
    pub stats_seconds: f64,
}

/// A node that was not reached.
#[derive(Debug, Clone, Serialize)]
pub struct UnreachedNode {
    /// Its name.
    pub node: String,
    /// Why.
    pub reason: String,
}

impl AdviceReport {
    /// Returns the number of pieces of advice.
    pub fn advice(&self) -> usize {
        self.count(Verdict::Advice)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.of(verdict).count()
    }

    fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.verdict == verdict)
    }
}

/// The JSON form: `dbops.advice/1`.
pub fn json(reports: &[AdviceReport], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.advice/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}

/// One line a finding; below advice its evidence and what to do.
pub fn text(report: &AdviceReport) -> String {
    let mut out = format!(
        "target {}: database {}, {}\n",
        report.target,
        clean(&report.database),
        nodes(report)
    );
    for (verdict, heading) in [
        (Verdict::Advice, "advice"),
        (Verdict::NotProven, "not proven"),
        (Verdict::Keep, "as it is"),
    ] {
        if report.count(verdict) == 0 {
            continue;
        }
        let _ = writeln!(out, "\n{heading}");
        let width = report.of(verdict).map(|one| word(one.kind).len()).max();
        let width = width.unwrap_or_default();
        let margin = " ".repeat(width + 4);
        for finding in report.of(verdict) {
            let _ = writeln!(
                out,
                "  {:width$}  {}",
                word(finding.kind),
                clean(&finding.summary)
            );
            if verdict != Verdict::Keep {
                for evidence in &finding.evidence {
                    let _ = writeln!(out, "{margin}why: {}", clean(evidence));
                }
                if let Some(freed) = finding.frees_bytes {
                    let _ = writeln!(out, "{margin}frees: {}", bytes(freed));
                }
            }
            for step in &finding.next {
                let _ = writeln!(out, "{margin}do: {}", clean(step));
            }
        }
    }
    let freed: i64 = report
        .of(Verdict::Advice)
        .filter_map(|one| one.frees_bytes)
        .sum();
    let freed = if freed > 0 {
        format!(", which would free {}", bytes(freed))
    } else {
        String::new()
    };
    let pieces = match report.advice() {
        1 => "1 piece of advice".to_owned(),
        count => format!("{count} pieces of advice"),
    };
    let gap = if report.findings.is_empty() { "" } else { "\n" };
    let _ = writeln!(
        out,
        "{gap}{pieces}{freed}; {} not proven, {} to be left as it is",
        report.count(Verdict::NotProven),
        report.count(Verdict::Keep)
    );
    out
}

fn nodes(report: &AdviceReport) -> String {
    let mut words: Vec<String> = report
        .nodes
        .iter()
        .map(|node| {
            format!(
                "statistics of {} reach back {}",
                node.node,
                super::words::duration(node.stats_seconds as i64)
            )
        })
        .collect();
    words.extend(
        report
            .unreached
            .iter()
            .map(|node| format!("{} not reached ({})", node.node, clean(&node.reason))),
    );
    words.join(", ")
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid",
        Kind::Duplicate => "duplicate",
        Kind::ReverseDuplicate => "reverse-duplicate",
        Kind::RedundantPrefix => "redundant-prefix",
        Kind::Unused => "unused",
        Kind::ForeignKey => "foreign-key",
        Kind::Bloat => "bloat",
        Kind::HotUpdates => "hot-updates",
        Kind::Statement => "statement",
    }
}

/// Returns the advice that a plan file can say, as a plan file that loads.
pub fn plan(report: &AdviceReport) -> String {
    let mut out = format!(
        "# yaml-language-server: $schema=dbops.schema.json
#
# Made by dbops indexes advise from database {}. Look it through, then:
#
#   dbops indexes apply --dry-run --plan FILE   shows what dbops would do; changes nothing
#
# An index is dropped only where its entry allows it: `allow: [drops-index]`.

version: 1

indexes:",
        scalar(&report.database)
    );
    let planned: Vec<(&Finding, &Planned)> = report
        .of(Verdict::Advice)
        .filter_map(|finding| Some((finding, finding.plan.as_ref()?)))
        .collect();
    if planned.is_empty() {
        out.push_str(" []  # there is no advice that a plan file can say\n");
        return out;
    }
    out.push('\n');
    let mut written: Vec<IndexSpec> = Vec::new();
    for (at, (finding, planned)) in planned.into_iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let lines = std::iter::once(&finding.summary).chain(&finding.evidence);
        for line in lines {
            let _ = writeln!(out, "  # {}", visible(line));
        }
        match planned {
            Planned::Absent(name) => {
                let _ = writeln!(
                    out,
                    "  - absent: [{}]\n    # allow: [drops-index]",
                    flow(&name.to_string())
                );
            }
            Planned::Present(spec) => match distinct(spec, &written) {
                Some(spec) => {
                    present(&mut out, &spec);
                    written.push(spec);
                }
                None => out.push_str("  # The index is declared above already.\n"),
            },
        }
    }
    out
}

/// Returns the index under a name of its own; `None` where the same one was written before: a foreign key and a
/// statement may ask for one index.
fn distinct(spec: &IndexSpec, written: &[IndexSpec]) -> Option<IndexSpec> {
    let same = |other: &&IndexSpec| other.table == spec.table && other.keys == spec.keys;
    if written.iter().any(|other| same(&other)) {
        return None;
    }
    let mut spec = spec.clone();
    let name = spec.name.clone().unwrap_or_default();
    let mut number = 1;
    while written
        .iter()
        .any(|other| other.table.schema == spec.table.schema && other.name == spec.name)
    {
        number += 1;
        let ending = format!("_{number}");
        let mut stem = name.clone();
        while stem.len() + ending.len() > MAX_NAME_BYTES {
            stem.pop();
        }
        spec.name = Some(stem + &ending);
    }
    Some(spec)
}

fn present(out: &mut String, spec: &IndexSpec) {
    let name = spec.name.as_deref().unwrap_or_default();
    let columns: Vec<String> = spec.keys.iter().map(key).collect();
    let _ = writeln!(
        out,
        "  - name: {}\n    table: {}\n    columns: [{}]",
        quoted(name),
        scalar(&spec.table.to_string()),
        columns.join(", ")
    );
    if spec.method != DEFAULT_METHOD {
        let _ = writeln!(out, "    using: {}", quoted(&spec.method));
    }
    if !spec.include.is_empty() {
        let columns: Vec<String> = spec.include.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(out, "    include: [{}]", columns.join(", "));
    }
    if let Some(predicate) = &spec.predicate {
        let _ = writeln!(out, "    where: {}", quoted(predicate));
    }
}

fn key(key: &KeySpec) -> String {
    let (word, text) = match &key.target {
        KeyTarget::Column(name) if !key.desc && !key.nulls_first => return quoted(name),
        KeyTarget::Column(name) => ("column", name),
        KeyTarget::Expression(text) => ("expr", text),
    };
    let desc = if key.desc { ", desc: true" } else { "" };
    let nulls = match (key.desc, key.nulls_first) {
        (true, false) => ", nulls: last",
        (false, true) => ", nulls: first",
        _ => "",
    };
    format!("{{ {word}: {}{desc}{nulls} }}", quoted(text))
}

/// A scalar that may stand between brackets.
fn flow(text: &str) -> String {
    scalar(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::QualifiedName;
    use crate::plan_file::{PlanFile, Source, Style, parse};
    use crate::syntax::create_index;
    use std::collections::BTreeMap;

    fn finding(verdict: Verdict, plan: Option<Planned>) -> Finding {
        Finding {
            kind: Kind::Unused,
            verdict,
            table: QualifiedName::new("public", "t"),
            index: Some(QualifiedName::new("public", "i")),
            summary: "i was never\nscanned".to_owned(),
            evidence: vec!["much".to_owned()],
            next: vec!["drop index concurrently i;".to_owned()],
            frees_bytes: Some(2 << 20),
            figures: BTreeMap::from([("scans", 0.0)]),
            plan,
        }
    }

    fn report(findings: Vec<Finding>) -> AdviceReport {
        AdviceReport {
            target: "main".to_owned(),
            database: "app".to_owned(),
            nodes: vec![AdviceNode {
                node: "primary".to_owned(),
                stats_seconds: 90.0 * 86_400.0,
            }],
            unreached: vec![UnreachedNode {
                node: "menu".to_owned(),
                reason: "refused".to_owned(),
            }],
            findings,
        }
    }

    fn loaded(text: &str) -> PlanFile {
        let source = Source {
            path: "plan.yaml".into(),
            text: text.to_owned(),
        };
        match parse(&[source]) {
            Ok(loaded) => loaded.plan,
            Err(problems) => panic!("{}\n{text}", problems.render(Style::Plain)),
        }
    }

    #[test]
    fn evidence_stands_below_advice_only() {
        let report = report(vec![
            finding(Verdict::Advice, None),
            finding(Verdict::Keep, None),
        ]);
        let text = text(&report);
        assert!(text.starts_with(
            "target main: database app, statistics of primary reach back 90 days, menu not reached (refused)\n\nadvice\n"
        ));
        assert_eq!(text.matches("why: much").count(), 1);
        assert!(text.ends_with(
            "1 piece of advice, which would free 2.0 MiB; 0 not proven, 1 to be left as it is\n"
        ));
        let json: serde_json::Value =
            serde_json::from_str(&json(&[report], Exit::Findings)).unwrap();
        assert_eq!(json["format"], "dbops.advice/1");
        assert_eq!(json["targets"][0]["findings"][0]["verdict"], "advice");
        assert_eq!(json["targets"][0]["findings"][0]["figures"]["scans"], 0.0);
    }

    #[test]
    fn one_index_is_declared_once_and_names_differ() {
        let advice = |sql: &str| {
            let spec = create_index(sql).unwrap().spec;
            finding(Verdict::Advice, Some(Planned::Present(Box::new(spec))))
        };
        let text = plan(&report(vec![
            advice("create index t_a_b_idx on t (a, b)"),
            advice("create index t_a_b_idx on t (a, b)"),
            advice("create index t_a_b_idx on t (a_b)"),
        ]));
        let names: Vec<_> = loaded(&text)
            .indexes
            .into_iter()
            .map(|one| one.name)
            .collect();
        let expected = ["t_a_b_idx", "t_a_b_idx_2"].map(|name| Some(name.to_owned()));
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn the_plan_loads_and_says_the_advice() {
        assert!(loaded(&plan(&report(Vec::new()))).indexes.is_empty());
        let spec = create_index(
            r#"create index "I x" on "S"."T" ("a b", c desc, lower(d)) include (e) where (f > 0)"#,
        )
        .unwrap()
        .spec;
        let report = report(vec![
            finding(
                Verdict::Advice,
                Some(Planned::Absent(QualifiedName::new("Pub", "a,b] \"c"))),
            ),
            finding(
                Verdict::Advice,
                Some(Planned::Present(Box::new(spec.clone()))),
            ),
            finding(
                Verdict::NotProven,
                Some(Planned::Present(Box::new(spec.clone()))),
            ),
        ]);
        let text = plan(&report);
        let plan = loaded(&text);
        assert_eq!(plan.indexes.len(), 2, "{text}");
        assert_eq!(
            plan.indexes[0].absent,
            [QualifiedName::new("Pub", "a,b] \"c")]
        );
        assert!(plan.indexes[0].allow.is_empty());
        let present = &plan.indexes[1];
        assert_eq!(present.name.as_deref(), Some("I x"));
        assert_eq!(present.table.as_ref(), Some(&spec.table));
        assert_eq!(present.columns.len(), 3);
        assert_eq!(present.predicate.as_deref(), Some("f > 0"));
        let allowed = text.replace("# allow:", "allow:");
        assert_eq!(loaded(&allowed).indexes[0].allow.len(), 1);
    }
}
