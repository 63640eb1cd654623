//! Figures of statements in words.

use chrono::DateTime;

use crate::checks::queries::reasons::Reason;
use crate::checks::queries::report::{Explained, Header, Line, Noise, Report};
use crate::render::words::{bytes, clean, count, duration, indexes};

/// Milliseconds with three digits that matter: `0.042 ms`, `8.4 ms`, `1.2 s`, `12 min`.
pub(super) fn ms(value: f64) -> String {
    match value {
        v if v >= 7_200_000.0 => format!("{:.1} h", v / 3_600_000.0),
        v if v >= 120_000.0 => format!("{:.1} min", v / 60_000.0),
        v if v >= 1_000.0 => format!("{:.1} s", v / 1_000.0),
        v if v >= 100.0 => format!("{v:.0} ms"),
        v if v >= 1.0 => format!("{v:.1} ms"),
        v if v >= 0.1 => format!("{v:.2} ms"),
        v if v > 0.0 => format!("{v:.3} ms"),
        _ => "0 ms".to_owned(),
    }
}

/// A figure, or a dash where there is none.
pub(super) fn maybe(value: Option<f64>, words: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), words)
}

/// A part from 0 to 1.
pub(super) fn percent(part: f64) -> String {
    if part > 0.0 && part < 0.001 {
        "< 0.1 %".to_owned()
    } else {
        format!("{:.1} %", part * 100.0)
    }
}

/// A number of rows or blocks.
pub(super) fn number(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 {
        count(value.round() as i64)
    } else {
        format!("{value:.1}")
    }
}

/// One statement's row, without its text: rank, share, time, calls, mean, longest, percentile, rows a call.
pub(super) fn cells(line: &Line) -> [String; 8] {
    let figures = &line.figures;
    [
        line.rank.to_string(),
        maybe(figures.time_share, percent),
        ms(figures.total_ms),
        number(figures.calls),
        maybe(figures.mean_ms, ms),
        maybe(figures.max_ms, ms),
        p95(line),
        maybe(figures.rows_per_call, |rows| match rows {
            // A column of the terminal's table is no wider.
            rows if rows >= 999_999.5 => format!("{:.1} M", rows / 1e6),
            rows => number(rows),
        }),
    ]
}

/// A reason with its advice, in one line.
pub(super) fn because(reason: &Reason) -> String {
    format!("why: {}; do: {}", reason.evidence, reason.advice)
}

/// The proven interval and the estimate: `0.4-2.1 ms, about 1.1`.
fn p95(line: &Line) -> String {
    let (Some(low), Some(high)) = (line.p95_low_ms, line.p95_high_ms) else {
        return "-".to_owned();
    };
    let (low, high) = (ms(low), ms(high));
    if low == high {
        return low;
    }
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((low, a)), Some((high, b))) if a == b => format!("{low}-{high} {a}"),
        _ => format!("{low}-{high}"),
    }
}

/// An instant of a server's clock.
pub(super) fn instant(seconds: f64) -> String {
    DateTime::from_timestamp(seconds as i64, 0).map_or_else(
        || "an unknown time".to_owned(),
        |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// What figures were read from, a line each.
pub(super) fn header(report: &Report) -> Vec<String> {
    let head = &report.header;
    let mut lines = vec![format!(
        "target {}: PostgreSQL {}{}, pg_stat_statements {}",
        clean(&report.target),
        head.server_version,
        if head.standby { " (standby)" } else { "" },
        head.extension
    )];
    lines.push(when(head));
    lines.push(room(head));
    if head.hidden > 0 {
        lines.push(format!(
            "{} hidden entries with {} of the time: grant pg_read_all_stats to the role",
            head.hidden,
            percent(head.hidden_share)
        ));
    }
    if let Some(completeness) = &head.completeness
        && completeness.time < 0.9995
    {
        lines.push(format!(
            "{} of the time between is known to be complete",
            percent(completeness.time)
        ));
    }
    lines.extend(head.doubts.iter().map(|doubt| clean(doubt)));
    if !report.not_measured.is_empty() {
        let all: Vec<String> = report
            .not_measured
            .iter()
            .map(|one| format!("{} ({})", one.what, one.why))
            .collect();
        lines.push(format!("not measured: {}", all.join(", ")));
    }
    lines.push(head.not_counted.to_owned());
    lines
}

fn when(head: &Header) -> String {
    let length = |from: f64| duration((head.until - from).max(0.0) as i64);
    match (head.span, head.from) {
        ("window", Some(from)) => format!(
            "from {} for {}, {} of statements",
            instant(from),
            length(from),
            ms(head.total_ms)
        ),
        (_, Some(from)) => format!(
            "counted since {} ({}), {} of statements",
            instant(from),
            length(from),
            ms(head.total_ms)
        ),
        _ => format!(
            "counted since an unknown time (the extension is older than 1.9), {} of statements",
            ms(head.total_ms)
        ),
    }
}

fn room(head: &Header) -> String {
    let entries = match head.max_entries {
        Some(max) => format!(
            "{} of at most {} entries",
            count(head.entries as i64),
            count(i64::try_from(max).unwrap_or(i64::MAX))
        ),
        None => format!("{} entries", count(head.entries as i64)),
    };
    match head.evictions {
        Some(0) => format!("{entries}, none thrown away"),
        Some(times) => format!(
            "{entries}; the least used were thrown away {times} times: figures of seldom statements are too small"
        ),
        None => format!("{entries}; whether any were thrown away is not known"),
    }
}

/// Transaction control and the like, in one line.
pub(super) fn noise(noise: &Noise) -> Option<String> {
    (noise.statements > 0).then(|| {
        format!(
            "beside them {} of transaction control and session settings: {} calls, {}",
            crate::render::words::plural(noise.statements, "statement"),
            number(noise.calls),
            ms(noise.total_ms)
        )
    })
}

/// What is worth a word of a statement beside its main figures.
pub(super) fn details(line: &Line) -> Vec<String> {
    let figures = &line.figures;
    let mut words = Vec::new();
    let mut say = |value: Option<f64>, least: f64, text: &dyn Fn(f64) -> String| {
        if let Some(value) = value.filter(|value| *value > least) {
            words.push(text(value));
        }
    };
    let size = |value: f64| bytes(value.round() as i64);
    say(figures.calls_per_s, 0.0, &|v| {
        if v >= 0.1 {
            format!("{v:.1} calls/s")
        } else {
            format!("{:.1} calls/h", v * 3_600.0)
        }
    });
    say(figures.blocks_per_call, 0.0, &|v| {
        format!("{} blocks/call", number(v))
    });
    say(figures.blocks_per_row, 100.0, &|v| {
        format!("{} blocks/row", number(v))
    });
    say(figures.cache_hit, -1.0, &|v| format!("hit {}", percent(v)));
    say(figures.read_ms_per_call, 0.0, &|v| {
        format!("reads {}/call", ms(v))
    });
    say(figures.plan_share, 0.01, &|v| {
        format!("planning {}", percent(v))
    });
    say(figures.temp_bytes_per_call, 0.0, &|v| {
        format!("temp {}/call", size(v))
    });
    say(figures.wal_bytes_per_call, 0.0, &|v| {
        format!("WAL {}/call", size(v))
    });
    say(figures.jit_share, 0.01, &|v| format!("JIT {}", percent(v)));
    if let Some(got) = figures.workers_got.filter(|got| *got < 0.995) {
        words.push(format!("parallel workers got {}", percent(got)));
    }
    if let Some(estimate) = line.p95_estimate_ms {
        words.push(format!("p95 about {}", ms(estimate)));
    } else if let Some(note) = line.p95_note {
        words.push(format!("p95 {note}"));
    }
    words
}

/// Where a statement is from.
pub(super) fn place(line: &Line) -> String {
    let nested = if line.nested {
        ", inside a function"
    } else {
        ""
    };
    let print = line.fingerprint.as_deref().unwrap_or("text lost");
    let merged = match line.queryids.len() {
        0 | 1 => String::new(),
        several => format!(", {several} entries"),
    };
    let tags: String = line
        .tags
        .iter()
        .map(|(key, value)| format!(", {key}={value}"))
        .collect();
    clean(&format!(
        "{print}, database {}, role {}{nested}{merged}{tags}",
        line.database, line.role
    ))
}

/// A generic plan, a line a node.
pub(super) fn explained(explained: &Explained) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(refused) = explained.refused {
        lines.push(format!("no generic plan: {}", refused.words()));
    }
    if let Some(plan) = &explained.plan {
        lines.push("generic plan (with values the server may choose another):".to_owned());
        lines.extend(plan.lines.iter().map(|line| format!("  {line}")));
        if let Some(factor) = explained.misestimate {
            lines.push(format!(
                "the planner expects {} rows, a call gives {} times more or less: run ANALYZE, or extended statistics",
                number(plan.rows),
                number(factor)
            ));
        }
    }
    lines
}

/// Indexes that statements want.
pub(super) fn proposals(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.proposals.is_empty() {
        lines.push("indexes that they want:".to_owned());
    }
    for one in &report.proposals {
        let proposal = &one.proposal;
        let ranks: Vec<String> = proposal
            .statements
            .iter()
            .map(|rank| format!("#{rank}"))
            .collect();
        let state = if proposal.declared {
            "declared in the plan file and not built: dbops indexes apply".to_owned()
        } else {
            crate::checks::queries::propose::words(proposal)
        };
        lines.push(format!(
            "- {} ({}) in database {}, for {} with {}; {state}",
            clean(&proposal.table),
            clean(&proposal.keys.join(", ")),
            clean(&one.database),
            ranks.join(", "),
            ms(proposal.total_ms)
        ));
        lines.push(clean(&proposal.sql));
    }
    if report.refused_proposals > 0 {
        lines.push(format!(
            "{} more would not be used by the planner, or save less than half of the cost",
            indexes(report.refused_proposals)
        ));
    }
    lines
}
