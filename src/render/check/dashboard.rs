//! The page of `dbops serve`: findings first, then every figure by what it is of, with its last hours.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::chart::chart;
use super::html::{bar, escape, findings, head, stage_advice};
use super::{Report, figure_of, ground_of, idle, limits, one_line, subject, sums};
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::trail::Kind;
use crate::checks::verdict::{Doubt, Finding, Gathered, Limits, Status};
use crate::plan_file::Millis;
use crate::plan_file::metric::{Metric, Worse, metric};

/// Figures of one kind of thing: a row for each thing, a column for each metric.
struct Section {
    title: &'static str,
    metrics: &'static [&'static str],
}

/// What belongs together for people.
struct Panel {
    title: &'static str,
    sections: &'static [Section],
}

const fn section(title: &'static str, metrics: &'static [&'static str]) -> Section {
    Section { title, metrics }
}

const PANELS: [Panel; 6] = [
    Panel {
        title: "Replication",
        sections: &[
            section("Nodes", &["node.up"]),
            section(
                "Replicas",
                &[
                    "replica.state",
                    "replica.visible_lag",
                    "replica.byte_lag",
                    "replica.conflicts",
                ],
            ),
            section(
                "Slots",
                &[
                    "slot.wal_status",
                    "slot.retained_bytes",
                    "slot.time_to_loss",
                    "slot.inactive_age",
                ],
            ),
        ],
    },
    Panel {
        title: "Connections and pools",
        sections: &[
            section(
                "Servers",
                &[
                    "conn.effective_used",
                    "conn.used",
                    "conn.peak",
                    "conn.idle_in_transaction_age",
                    "conn.idle_age",
                ],
            ),
            section("Roles", &["conn.role_used"]),
            section("Databases", &["conn.database_used"]),
            section("Pools", &["pool.used", "pool.waiting", "pool.maxwait"]),
            section("Declared pools", &["budget.declared_over_capacity"]),
        ],
    },
    Panel {
        title: "Query load",
        sections: &[
            section(
                "Statements",
                &[
                    "query.share",
                    "query.mean_time",
                    "query.max_time",
                    "query.p95_bound",
                    "query.temp_bytes",
                    "query.cache_hit",
                    "query.n_plus_one_score",
                    "query.regression",
                ],
            ),
            section("Buffer cache", &["cache.hit_ratio"]),
            section("Round trips", &["db.probe_p95"]),
            section(
                "Services",
                &[
                    "http.requests",
                    "http.p50",
                    "http.p95",
                    "http.p99",
                    "http.error_rate",
                    "http.uptime",
                    "app.users",
                ],
            ),
        ],
    },
    Panel {
        title: "Storage",
        sections: &[
            section("Databases", &["database.size", "xid.age", "mxid.age"]),
            section(
                "WAL and archive",
                &[
                    "wal.size",
                    "archive.state",
                    "archive.oldest_unarchived_age",
                    "prepared.oldest_age",
                ],
            ),
            section("Disks", &["disk.used"]),
            section("What holds back vacuum", &["xmin.held_age"]),
            section("Backups", &["backup.age", "attestation.state"]),
        ],
    },
    Panel {
        title: "Partitions",
        sections: &[section(
            "Tables",
            &[
                "partition.runway",
                "partition.gaps",
                "partition.default_rows",
                "partition.detach_pending",
                "partition.expired",
            ],
        )],
    },
    Panel {
        title: "Indexes",
        sections: &[section(
            "Indexes and tables",
            &[
                "index.invalid",
                "index.drift",
                "index.unused",
                "index.state",
            ],
        )],
    },
];

/// Metrics that the page shows even where no rule asks for them: none costs a server more than a look at what it has in
/// memory or in its catalog.
pub const SHOWN: [&str; 15] = [
    "node.up",
    "replica.state",
    "replica.visible_lag",
    "replica.byte_lag",
    "slot.wal_status",
    "slot.retained_bytes",
    "conn.effective_used",
    "conn.idle_in_transaction_age",
    "pool.used",
    "pool.waiting",
    "pool.maxwait",
    "query.share",
    "database.size",
    "wal.size",
    "partition.runway",
];

/// Rows of a section; the worst of them by their rules, then by their figures.
const MOST_ROWS: usize = 12;
/// Findings that are shown, of those that somebody is to look at and of the others: a page is for people.
const MOST_OPEN: usize = 500;
const MOST_REST: usize = 200;

/// One figure, and what rules say of it.
struct Cell<'a> {
    labels: &'a Labels,
    window: Option<Millis>,
    reading: &'a Reading,
    basis: &'a str,
    doubt: Option<&'a Doubt>,
    /// The worst that a rule says; `None`: no rule looks at it.
    status: Option<Status>,
    is_muted: bool,
    limits: Limits,
}

impl<'a> Cell<'a> {
    fn judged(one: &'a Finding) -> Self {
        Self {
            labels: &one.labels,
            window: one.window,
            reading: &one.reading,
            basis: &one.basis,
            doubt: one.doubt.as_ref(),
            status: Some(one.status),
            is_muted: one.mute.is_some(),
            limits: one.limits.clone(),
        }
    }

    fn bare(one: &'a Measured) -> Self {
        Self {
            labels: &one.labels,
            window: None,
            reading: &one.reading,
            basis: &one.basis,
            doubt: None,
            status: None,
            is_muted: false,
            limits: Limits::default(),
        }
    }

    fn class(&self) -> &'static str {
        match (self.is_muted, self.status) {
            (true, _) => "muted",
            (false, Some(status)) => status.name(),
            (false, None) if matches!(self.reading, Reading::Unknown { .. }) => "muted",
            (false, None) => "bare",
        }
    }

    /// What a rule says of it that nobody accepts.
    fn open(&self) -> Status {
        let status = self.status.filter(|_| !self.is_muted);
        status.unwrap_or(Status::Ok)
    }

    /// How bad the figure is, beside others of its metric.
    fn badness(&self, metric: &Metric) -> f64 {
        let (low, high) = match self.reading {
            Reading::Value(value) => (*value, *value),
            Reading::Between { low, high } => (*low, *high),
            Reading::State(_) | Reading::Unknown { .. } => return f64::NEG_INFINITY,
        };
        match metric.worse {
            Worse::Above => high,
            Worse::Below => -low,
        }
    }
}

/// The figures by metric, each thing once for each stretch of time that rules want it of.
type Cells<'a> = HashMap<&'static str, Vec<Cell<'a>>>;

fn cells<'a>(report: &'a Report, gathered: &'a Gathered) -> Cells<'a> {
    let mut all: Cells<'a> = HashMap::new();
    let mut seen: HashSet<(&'static str, Option<Millis>, &'a Labels)> = HashSet::new();
    // The worst comes first.
    for finding in &report.verdict.findings {
        let of_metric = all.entry(finding.metric.name).or_default();
        if seen.insert((finding.metric.name, finding.window, &finding.labels)) {
            of_metric.push(Cell::judged(finding));
        }
    }
    for one in &gathered.measured {
        let of_metric = all.entry(one.metric).or_default();
        if seen.insert((one.metric, None, &one.labels)) {
            of_metric.push(Cell::bare(one));
        }
    }
    all
}

/// Renders the page of the last look; a browser asks for it again each time that there is something new.
pub fn dashboard(report: &Report, gathered: &Gathered, every: Duration) -> String {
    let seconds = every.as_secs().max(1);
    let more = format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n");
    let mut out = head("dbops", &more);
    let worst = report.status.name();
    let _ = writeln!(
        out,
        "<header><h1>{}: <span class=\"{worst}\">{worst}</span></h1>\n<p>{}, measured {}</p></header>",
        escape(&report.targets.join(", ")),
        escape(&sums(&report.verdict.counts)),
        report.at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    bar(&mut out, &report.verdict.counts);
    out.push_str("<section id=\"findings\">\n<h2>Findings</h2>\n");
    let (open, rest): (Vec<&Finding>, Vec<&Finding>) = report
        .verdict
        .findings
        .iter()
        .partition(|one| one.mute.is_none() && one.status > Status::Skipped);
    if open.is_empty() {
        out.push_str("<p>Nothing to look at.</p>\n");
    } else {
        some_findings(&mut out, &open, MOST_OPEN, report);
    }
    if !rest.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>{} more: they hold, are muted or were left out</summary>",
            rest.len()
        );
        some_findings(&mut out, &rest, MOST_REST, report);
        out.push_str("</details>\n");
    }
    if let Some(idle) = idle(&report.verdict) {
        let _ = writeln!(out, "<p>{}</p>", escape(&idle));
    }
    stage_advice(&mut out, report);
    out.push_str("</section>\n<div class=\"panels\">\n");
    let cells = cells(report, gathered);
    for one in &PANELS {
        panel(&mut out, one, &cells, report, gathered);
    }
    out.push_str("</div>\n</body>\n</html>\n");
    out
}

fn some_findings(out: &mut String, all: &[&Finding], most: usize, report: &Report) {
    let (shown, more) = all.split_at(most.min(all.len()));
    findings(out, shown, report);
    if !more.is_empty() {
        let _ = writeln!(
            out,
            "<p>and {} more: /api/check has them all</p>",
            more.len()
        );
    }
}

/// Renders the page of a moment at which there is nothing to tell: a browser asks again by itself.
pub fn waiting(why: &str) -> String {
    let mut out = head("dbops", "<meta http-equiv=\"refresh\" content=\"5\">\n");
    let _ = writeln!(
        out,
        "<header><h1>{}</h1></header>\n</body>\n</html>",
        escape(why)
    );
    out
}

fn panel(out: &mut String, panel: &Panel, cells: &Cells<'_>, report: &Report, gathered: &Gathered) {
    let id = panel.title.split(' ').next().unwrap_or_default();
    let _ = writeln!(
        out,
        "<section class=\"panel\" id=\"{}\">\n<h2>{}</h2>",
        id.to_lowercase(),
        panel.title
    );
    let before = out.len();
    for section in panel.sections {
        let columns = columns(section, cells);
        if !columns.is_empty() {
            table(out, section.title, &columns, cells, report);
        }
    }
    let mut told = Vec::new();
    for name in panel.sections.iter().flat_map(|one| one.metrics) {
        let Some(metric) = metric(name).filter(|_| !cells.contains_key(*name)) else {
            continue;
        };
        for missing in gathered.missing.iter().filter(|one| one.is_of(metric)) {
            let place = subject(&missing.labels, false);
            let why = one_line(&missing.why);
            let line = format!("{place}: not measured, {}: {why}", missing.reason.code());
            if !told.contains(&line) {
                told.push(line);
            }
        }
    }
    for line in &told {
        let _ = writeln!(out, "<p class=\"muted\">{}</p>", escape(line));
    }
    if out.len() == before {
        out.push_str(
            "<p class=\"muted\">Nothing of the kind is there, or no rule asks for it.</p>\n",
        );
    }
    out.push_str("</section>\n");
}

/// What the columns of a section hold: metrics, and of those that are made of several looks, each of how long.
fn columns(section: &Section, cells: &Cells<'_>) -> Vec<Kind> {
    let mut all = Vec::new();
    for metric in section.metrics.iter().filter_map(|name| metric(name)) {
        let of_metric = cells.get(metric.name).into_iter().flatten();
        let windows: BTreeSet<Option<Millis>> = of_metric.map(|cell| cell.window).collect();
        all.extend(windows.into_iter().map(|window| Kind { metric, window }));
    }
    all
}

/// A row of a section: a thing and its figures, by the place of their column.
#[derive(Default)]
struct Row<'a> {
    cells: BTreeMap<usize, &'a Cell<'a>>,
}

impl Row<'_> {
    /// How far up it stands: what is broken, then what is worst by its first metric.
    fn rank(&self, columns: &[Kind]) -> (Status, f64) {
        let worst = self.cells.values().map(|cell| cell.open()).max();
        let first = self.cells.iter().next();
        let first = first.and_then(|(at, cell)| Some(cell.badness(columns.get(*at)?.metric)));
        (
            worst.unwrap_or(Status::Ok),
            first.unwrap_or(f64::NEG_INFINITY),
        )
    }
}

fn table<'a>(
    out: &mut String,
    title: &str,
    columns: &[Kind],
    cells: &'a Cells<'a>,
    report: &Report,
) {
    let mut rows: BTreeMap<String, Row<'a>> = BTreeMap::new();
    for (at, column) in columns.iter().enumerate() {
        let of_metric = cells.get(column.metric.name).into_iter().flatten();
        for cell in of_metric.filter(|cell| cell.window == column.window) {
            let mut name = subject(cell.labels, column.metric.is_of_statements());
            // Where there is one target, the page says once which.
            if let [target] = report.targets.as_slice()
                && let Some(short) = name.strip_prefix(&format!("{target}: "))
            {
                name = short.to_owned();
            }
            rows.entry(name)
                .or_default()
                .cells
                .entry(at)
                .or_insert(cell);
        }
    }
    let mut rows: Vec<(String, Row<'a>)> = rows.into_iter().collect();
    rows.sort_by(|(a_name, a), (b_name, b)| {
        let (a, b) = (a.rank(columns), b.rank(columns));
        (b.0.cmp(&a.0))
            .then(b.1.total_cmp(&a.1))
            .then(a_name.cmp(b_name))
    });
    let _ = write!(out, "<table>\n<thead><tr><th>{title}</th>");
    for column in columns {
        let _ = write!(
            out,
            "<th title=\"{}\">{}</th>",
            escape(column.metric.about),
            short_name(*column)
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (name, row) in rows.iter().take(MOST_ROWS) {
        let _ = write!(out, "<tr><th>{}{}</th>", escape(name), text_of(row));
        for (at, column) in columns.iter().enumerate() {
            match row.cells.get(&at) {
                Some(cell) => write_cell(out, cell, *column, report),
                None => out.push_str("<td class=\"none\"></td>"),
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(more) = rows.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>and {more} more</p>");
    }
}

/// The name without its family, which the table tells.
fn short_name(column: Kind) -> String {
    let name = column
        .metric
        .name
        .split_once('.')
        .map_or(column.metric.name, |(_, name)| name);
    let name = name.replace('_', " ");
    match column.window {
        Some(window) => format!("{name} in {window}"),
        None => name,
    }
}

/// The text of a statement, as the server keeps it: without its values.
fn text_of(row: &Row<'_>) -> String {
    const MOST: usize = 160;
    let text = row.cells.values().find_map(|cell| cell.labels.get("text"));
    text.map(|text| {
        let text = one_line(text);
        let mut short: String = text.chars().take(MOST).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        format!("<code>{}</code>", escape(&short))
    })
    .unwrap_or_default()
}

fn write_cell(out: &mut String, cell: &Cell<'_>, column: Kind, report: &Report) {
    let class = cell.class();
    let _ = write!(
        out,
        "<td data-name=\"{}\"><span class=\"figure {class}\">{}</span>",
        short_name(column),
        escape(&figure_of(cell.reading, column.metric))
    );
    let limits_text = limits(&cell.limits);
    if !limits_text.is_empty() {
        let _ = write!(out, "<small>{}</small>", escape(&limits_text));
    }
    let line = report.trail.of(column, cell.labels);
    if let Some(chart) = line.and_then(|line| chart(line, column.metric, &cell.limits)) {
        out.push_str(&chart);
    }
    let ground = match (cell.doubt, cell.reading) {
        (None, Reading::Unknown { reason, why }) => format!("{}: {}", reason.code(), one_line(why)),
        (doubt, _) => ground_of(doubt, cell.basis),
    };
    let _ = write!(out, "<small>{}</small></td>", escape(&ground));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::verdict::{Memory, Policy, Raw, Seen, verdict};
    use crate::plan_file::PlanFile;
    use crate::plan_file::metric::METRICS;
    use crate::plan_file::rule::Rule;

    #[test]
    fn every_metric_has_one_place_on_the_page() {
        let sections = PANELS.iter().flat_map(|panel| panel.sections);
        let shown: Vec<&str> = sections.flat_map(|one| one.metrics).copied().collect();
        for metric in METRICS {
            let places = shown.iter().filter(|name| **name == metric.name).count();
            assert_eq!(places, 1, "{}", metric.name);
        }
        assert_eq!(shown.len(), METRICS.len());
    }

    fn empty() -> Report {
        Report {
            targets: vec!["main".to_owned()],
            at: chrono::DateTime::UNIX_EPOCH,
            verdict: crate::checks::verdict::Verdict::default(),
            status: Status::Ok,
            exit_code: 0,
            trail: crate::checks::trail::Trail::default(),
        }
    }

    /// What the page shows of tables whose partitions last for so many days.
    fn page_of(days: std::ops::Range<u32>, per_table: usize) -> String {
        let mut report = empty();
        let measured = days.map(|day| {
            let list = [("target", "main"), ("table", &*format!("t{day:05}"))];
            let list = list.map(|(key, value)| (key.to_owned(), value.into()));
            Measured {
                metric: "partition.runway",
                labels: std::sync::Arc::new(Labels::from(list)),
                reading: Reading::Value(f64::from(day) * 86_400.0),
                basis: "the last partition".into(),
                resolution: None,
            }
        });
        let gathered = Gathered {
            measured: measured.collect(),
            ..Gathered::default()
        };
        let rules: Vec<_> = (0..per_table)
            .map(|at| Rule {
                warn: Some("< 1s".parse().unwrap()),
                ..Rule::new(&format!("r{at}"), "partition.runway")
            })
            .collect();
        let plan = PlanFile::default();
        let policy = Policy::of(&plan, &rules);
        let mut memory = Memory::default();
        for second in 0..2 {
            let at = chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
            report.verdict = verdict(policy, &gathered, &mut memory, at);
        }
        report.trail = memory.trail().clone();
        dashboard(&report, &gathered, Duration::from_secs(30))
    }

    #[test]
    fn where_less_is_worse_the_least_comes_first() {
        let page = page_of(1..40, 0);
        let shown = |day: u32| page.contains(&format!("t{day:05}"));
        assert!((1..=12).all(shown), "{page}");
        assert!(!(13..40).any(shown), "{page}");
        assert!(page.contains("and 27 more"));
    }

    #[test]
    fn figures_of_different_windows_stand_beside_each_other_each_with_its_own_chart() {
        // Ever more of it is read from disk, so that the last minute is worse than the last hour.
        let seen = |look: i64| Seen::Counters {
            part: look * 1_000,
            whole: look * 1_000 + look * look * 100,
            epoch: String::new(),
        };
        let list = [("target", "main"), ("database", "app")];
        let list = list.map(|(key, value)| (key.to_owned(), value.into()));
        let labels = std::sync::Arc::new(Labels::from(list));
        let rules: Vec<Rule> = [("short", 60_000), ("long", 3_600_000)]
            .map(|(id, window)| Rule {
                window: Some(Millis(window)),
                warn: Some("< 1%".parse().unwrap()),
                ..Rule::new(id, "cache.hit_ratio")
            })
            .into();
        let plan = PlanFile::default();
        let mut report = empty();
        let mut memory = Memory::default();
        let mut gathered = Gathered::default();
        for look in 0..10 {
            gathered.raw = vec![Raw {
                metric: "cache.hit_ratio",
                labels: std::sync::Arc::clone(&labels),
                seen: seen(look),
            }];
            let at = chrono::DateTime::from_timestamp(1_800_000_000 + look * 30, 0);
            let policy = Policy::of(&plan, &rules);
            report.verdict = verdict(policy, &gathered, &mut memory, at.unwrap());
        }
        report.trail = memory.trail().clone();
        assert_eq!(report.trail.len(), 2);
        let page = dashboard(&report, &gathered, Duration::from_secs(30));
        for column in ["hit ratio in 1m", "hit ratio in 1h"] {
            assert!(
                page.contains(&format!("<td data-name=\"{column}\">")),
                "{page}"
            );
        }
        // Two among the findings, two in the panel.
        assert_eq!(page.matches("<svg class=\"chart").count(), 4);
    }

    #[test]
    fn a_page_has_an_end_however_much_is_judged() {
        let page = page_of(1..2_000, 2);
        assert!(page.contains("more: /api/check has them all"));
        assert!(page.matches("<tr>").count() < 300, "{}", page.len());
        // Each thing once among the findings, and once in its panel.
        let few = page_of(1..11, 5);
        assert_eq!(few.matches("<svg class=\"chart").count(), 20);
    }

    #[test]
    fn what_is_shown_without_a_rule_can_be_measured_without_one() {
        for name in SHOWN {
            let metric = metric(name).unwrap();
            assert!(metric.over().is_none() && !metric.is_foreign(), "{name}");
        }
    }
}
