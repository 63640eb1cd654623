//! Which statements are slow by which rule: thresholds that suit PostgreSQL, or those of the plan file.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::figures::{Figures, percentile};
use super::group::Statement;
use super::kind;
use crate::checks::judge::{Judgement, Labels, Measured, Reading, Severity, State};
use crate::checks::reason::Reason;
use crate::plan_file::rule::{Rule, Threshold};
use crate::syntax::mask::mask;

/// The rules where no plan file gives any for statements: what a web application's users begin to notice. Those of
/// the share and of the cache name what costs most, not what is broken: they are warnings alone.
const DEFAULTS: [(&str, &str, &str, Option<&str>); 6] = [
    ("mean", "query.mean_time", "> 50ms", Some("> 1s")),
    ("max", "query.max_time", "> 5s", Some("> 60s")),
    ("p95", "query.p95_bound", "> 500ms", Some("> 2s")),
    ("share", "query.share", "> 10%", None),
    ("temp", "query.temp_bytes", "> 1MiB", Some("> 100MiB")),
    ("cache", "query.cache_hit", "< 95%", None),
];

/// Returns the rules to judge statements by: those of the plan file or the defaults, and in their place those that
/// `given` names by metric.
pub fn rules(declared: &[Rule], given: &[(&str, Threshold)]) -> Vec<Rule> {
    let ours = |rule: &&Rule| {
        DEFAULTS
            .iter()
            .any(|(_, metric, ..)| *metric == rule.metric)
    };
    let mut rules: Vec<Rule> = declared.iter().filter(ours).cloned().collect();
    if rules.is_empty() {
        rules = DEFAULTS
            .iter()
            .map(|(id, metric, warn, critical)| {
                let parsed = |text: &str| text.parse().ok();
                rule(id, metric, parsed(warn), critical.and_then(parsed))
            })
            .collect();
    }
    for (metric, threshold) in given {
        rules.retain(|rule| rule.metric != *metric);
        let id = metric.rsplit('.').next().unwrap_or(metric);
        rules.push(rule(id, metric, Some(*threshold), None));
    }
    rules
}

fn rule(id: &str, metric: &str, warn: Option<Threshold>, critical: Option<Threshold>) -> Rule {
    Rule {
        warn,
        critical,
        ..Rule::new(id, metric)
    }
}

/// What of a statement is measured.
#[derive(Debug, Clone, Copy)]
pub struct Measuring<'a> {
    /// The target's name.
    pub target: &'a str,
    /// With fewer calls neither mean nor percentile nor maximum is judged.
    pub min_calls: f64,
    /// Whether any rule asks for it, by metric.
    pub metrics: &'a [Rule],
}

impl Measuring<'_> {
    /// The smallest time that a rule on the percentile names, in milliseconds.
    fn least_p95_ms(&self) -> f64 {
        let of = |rule: &Rule| {
            let overridden = rule.overrides.iter();
            overridden
                .flat_map(|other| [other.warn, other.critical])
                .chain([rule.warn, rule.critical])
                .flatten()
                .map(|threshold| threshold.base() * 1_000.0)
                .fold(f64::INFINITY, f64::min)
        };
        self.metrics
            .iter()
            .filter(|rule| rule.metric == "query.p95_bound")
            .map(of)
            .fold(f64::INFINITY, f64::min)
    }
}

/// Returns what is measured of statements, each with its figures; `labels` gives the labels of each, which share
/// their texts.
pub fn query_metrics<'a, F: 'a>(
    statements: impl Iterator<Item = (&'a Statement<F>, &'a Figures)>,
    measuring: &Measuring<'_>,
    labels: impl Fn(&Statement<F>) -> Labels,
) -> Vec<Measured> {
    let least_p95_ms = measuring.least_p95_ms();
    let rules = measuring.metrics.iter();
    let wanted: HashSet<&str> = rules.map(|rule| rule.metric.as_str()).collect();
    let mut found = Vec::new();
    for (statement, figures) in statements {
        let labels = Arc::new(labels(statement));
        let basis: Arc<str> = format!("{:.0} calls", figures.calls).into();
        let mut push = |metric: &'static str, reading: Reading| {
            if wanted.contains(metric) {
                found.push(Measured {
                    metric,
                    labels: Arc::clone(&labels),
                    reading,
                    basis: Arc::clone(&basis),
                    resolution: None,
                });
            }
        };
        let value = |value: Option<f64>, factor: f64, why: &'static str| match value {
            Some(value) => Reading::Value(value * factor),
            None => Reading::unknown(Reason::NoSample, why),
        };
        push(
            "query.share",
            value(figures.time_share, 100.0, "no statement took any time"),
        );
        if figures.calls < measuring.min_calls {
            continue;
        }
        push(
            "query.mean_time",
            value(figures.mean_ms, 0.001, "the mean is not counted"),
        );
        push(
            "query.max_time",
            value(
                figures.max_ms,
                0.001,
                "the longest execution is known for another time than the other figures",
            ),
        );
        // At most twenty times the mean: for most statements that is below every limit, and the exact bounds, which
        // take longer, are not needed.
        let far_below = statement.histogram.is_none()
            && figures
                .mean_ms
                .is_some_and(|mean| mean * 20.0 <= least_p95_ms);
        let reading = if far_below {
            Reading::Between {
                low: 0.0,
                high: least_p95_ms / 1_000.0,
            }
        } else {
            match percentile(statement) {
                Some(p95) => Reading::Between {
                    low: p95.low / 1_000.0,
                    high: p95.high / 1_000.0,
                },
                None => Reading::unknown(Reason::NoSample, "mean and deviation are not counted"),
            }
        };
        push("query.p95_bound", reading);
        push(
            "query.temp_bytes",
            value(
                figures.temp_bytes_per_call,
                1.0,
                "temporary files are not counted",
            ),
        );
        // Of few blocks a share says nothing: that is not unknown, there is nothing to judge.
        if let Some(hit) = figures.cache_hit
            && figures.reads_per_call.unwrap_or_default() > FEWEST_READS
        {
            push("query.cache_hit", Reading::Value(hit * 100.0));
        }
    }
    found
}

/// Below this many blocks a call that are not in the buffer cache their share is not judged: they cost little.
const FEWEST_READS: f64 = 100.0;

/// Returns the labels of a statement; its text is masked, for labels are in every form of output.
pub fn labels<F: std::fmt::Display>(statement: &Statement<F>, target: &str) -> Labels {
    let text = statement.text.clone().unwrap_or_else(|| "".into());
    let text = match mask(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(masked) => masked.into(),
    };
    let mut labels = Labels::new();
    for (name, value) in [
        ("target", Arc::from(target)),
        ("database", Arc::from(statement.database.as_str())),
        ("role", Arc::from(statement.role.as_str())),
        ("kind", Arc::from(kind::word(kind::kind(&text)))),
        ("text", text),
    ] {
        labels.insert(name.to_owned(), value);
    }
    // Without a text the server's hash tells it from others.
    let print = statement.fingerprint.as_ref().map(ToString::to_string);
    let id = statement.queryids.first();
    if let Some(print) = print.or_else(|| id.map(|id| format!("queryid {id}"))) {
        labels.insert("fingerprint".to_owned(), print.into());
    }
    // The same statement inside a function is another thing.
    if statement.toplevel == Some(false) {
        labels.insert("nested".to_owned(), "true".into());
    }
    labels
}

/// How bad the worst of some judgements is; `None`: nothing is broken that is not muted.
pub fn worst(judgements: &[Judgement<'_>]) -> Option<Severity> {
    judgements
        .iter()
        .filter(|one| one.mute.is_none())
        .filter_map(|one| match one.state {
            State::Broken(severity) => Some(severity),
            State::Unknown => None,
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Frame, figures};
    use super::super::group::testing::{entry, grouped, reading};
    use super::*;
    use crate::checks::judge::judge;
    use crate::sample::statements::model::Entry;

    fn broken(entries: Vec<Entry>, rules: &[Rule]) -> Vec<(String, State)> {
        let grouped = grouped(&reading(entries));
        let frame = Frame {
            total_ms: grouped.total_ms,
            from: Some(0.0),
            until: 100.0,
            io_timing: None,
            planning: None,
            block_bytes: 8_192.0,
        };
        let figures: Vec<Figures> = grouped
            .statements
            .iter()
            .map(|one| figures(one, &frame))
            .collect();
        let measuring = Measuring {
            target: "main",
            min_calls: 30.0,
            metrics: rules,
        };
        let measured = query_metrics(grouped.statements.iter().zip(&figures), &measuring, |one| {
            labels(one, "main")
        });
        judge(rules, &measured, &[])
            .iter()
            // These entries have no columns for temporary files.
            .filter(|one| one.rule.id != "temp")
            .map(|one| (one.rule.id.clone(), one.state))
            .collect()
    }

    #[test]
    fn the_defaults_find_slow_ones_and_leave_fast_ones() {
        let mut entries: Vec<Entry> = (0..20)
            .map(|at| entry(at, &format!("select {at}"), &[10.0; 100]))
            .collect();
        assert_eq!(broken(entries.clone(), &rules(&[], &[])), []);
        entries.push(entry(99, "select slow", &[60.0; 40]));
        // Few calls: only what it costs is judged.
        entries.push(entry(98, "select seldom", &[60.0; 29]));
        let found = broken(entries.clone(), &rules(&[], &[]));
        assert_eq!(
            found,
            [("mean".to_owned(), State::Broken(Severity::Warning))]
        );
        entries.push(entry(97, "select report", &[30_000.0]));
        let found = broken(entries, &rules(&[], &[]));
        assert!(found.contains(&("share".to_owned(), State::Broken(Severity::Warning))));
    }

    #[test]
    fn given_thresholds_replace_the_metric_alone() {
        let limit: Threshold = "> 5ms".parse().unwrap();
        let rules = rules(&[], &[("query.mean_time", limit)]);
        assert_eq!(rules.len(), DEFAULTS.len());
        let found = broken(
            vec![entry(1, "a", &[6.0; 30]), entry(2, "b", &[4.0; 900])],
            &rules,
        );
        let means: Vec<_> = found.iter().filter(|one| one.0 == "mean_time").collect();
        assert_eq!(means.len(), 1, "{found:?}");
    }

    #[test]
    fn a_percentile_that_cannot_be_told_is_unknown() {
        let limit: Threshold = "> 5ms".parse().unwrap();
        let only = vec![rule("p95", "query.p95_bound", Some(limit), None)];
        let mut times = vec![1.0; 95];
        times.extend([30.0; 5]);
        assert_eq!(
            broken(vec![entry(1, "a", &times)], &only),
            [],
            "two values at the ends leave nothing open"
        );
        let mut times = vec![1.0; 90];
        times.extend([4.0, 4.5, 5.5, 6.0, 7.0, 8.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(
            broken(vec![entry(1, "a", &times)], &only),
            [("p95".to_owned(), State::Unknown)]
        );
        assert_eq!(broken(vec![entry(1, "a", &[0.1; 100])], &only), []);
    }

    #[test]
    fn no_label_holds_a_secret() {
        let texts = [
            "ALTER ROLE app PASSWORD 'hunter2'",
            "create subscription s connection 'host=a password=hunter2' publication p",
            "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'hunter2')",
            "set app.key = 'hunter2'",
        ];
        let entries = (0..)
            .zip(texts)
            .map(|(at, text)| entry(at, text, &[1.0; 40]));
        let grouped = grouped(&reading(entries.collect()));
        assert_eq!(grouped.statements.len(), texts.len());
        for one in &grouped.statements {
            let mut labels = labels(one, "main");
            assert!(!labels["text"].is_empty());
            // Here it is the text itself; on servers it is a hash.
            labels.remove("fingerprint");
            assert!(
                labels.values().all(|value| !value.contains("hunter2")),
                "{labels:?}"
            );
        }
    }

    #[test]
    fn the_defaults_are_rules() {
        for rule in rules(&[], &[]) {
            let metric = crate::plan_file::metric::metric(&rule.metric).unwrap();
            let warn = rule.warn.unwrap();
            assert!(metric.measure.takes(warn.unit), "{}", rule.id);
        }
    }
}
