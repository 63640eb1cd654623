//! The scorecard: terms, each with its figure and its points, and the verdict that they add up to.
//!
//! The points come from a logistic regression over labelled runs of ten ORMs, over recordings of five and over
//! simulated applications, half of each kept back (`tests/n_plus_one.rs`); they are scaled so that 50 is the line
//! between yes and no.

use serde::Serialize;

use super::evidence::Evidence;
use super::gate::Kind;
use super::parent::ParentEvidence;
use super::regression::ramp;

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing speaks for a loop.
    None,
    /// It could be one; these counts cannot tell.
    Possible,
    /// It behaves like one.
    Suspect,
    /// It behaves like one in all respects.
    Strong,
}

impl Verdict {
    /// The verdict one level below.
    #[must_use]
    pub fn lowered(self) -> Self {
        match self {
            Self::Strong => Self::Suspect,
            Self::Suspect => Self::Possible,
            Self::Possible | Self::None => Self::None,
        }
    }

    /// As it is written in reports and flags.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Possible => "possible",
            Self::Suspect => "suspect",
            Self::Strong => "strong",
        }
    }
}

/// One term of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Term {
    /// Its name.
    pub name: &'static str,
    /// The figure it rests on.
    pub value: f64,
    /// What it adds to the score.
    pub points: f64,
    /// The figure in words.
    pub says: String,
}

/// Score from which a statement is a suspect.
pub const SUSPECT: f64 = 50.0;
/// Score from which it is a strong one.
pub const STRONG: f64 = 65.0;
/// Fewer windows than this cannot tell bundles from chance.
pub const FEW_WINDOWS: usize = 6;

/// How much of the anchor other statements must explain before it counts as called once per request.
pub(super) const ANCHOR_EXPLAINED: f64 = 0.85;

/// Returns the terms with points, and their sum within 0 and 100.
pub(super) fn score(evidence: &Evidence, kind: Kind) -> (f64, Vec<Term>) {
    let mut terms = Vec::new();
    let mut add = |name, value: f64, part: f64, weight: f64, says: String| {
        let points = part * weight;
        if points.abs() >= 0.5 {
            terms.push(Term {
                name,
                value,
                points,
                says,
            });
        }
    };
    add(
        "doubt",
        1.0,
        1.0,
        -2.0,
        "a statement is honest until figures speak against it".to_owned(),
    );
    let left = evidence.clumping_left;
    let steady = evidence.clumping_steady;
    add(
        "clumping",
        left,
        growth(left, 1.5, 6.0),
        7.0,
        format!("calls come in bundles: their variance is {left:.1} times that of single calls"),
    );
    add(
        "clumping-always",
        steady,
        growth(steady, 1.6, 14.0),
        4.0,
        format!("{steady:.1} times in the usual pair of windows"),
    );
    let evenly = steady / evidence.clumping.max(1e-3);
    add(
        "clumping-at-no-one-time",
        evenly,
        growth(left, 1.5, 6.0) * growth(evenly, 0.1, 0.5),
        12.0,
        "and in most windows alike, not in a burst now and then".to_owned(),
    );
    let relative = steady / evidence.bursts;
    add(
        "clumping-of-the-rest",
        relative,
        growth(relative, 0.6, 3.0),
        12.0,
        format!("{relative:.1} times as bundled as statements that no loop can run"),
    );
    add(
        "clumping-in-calm-traffic",
        evidence.bursts,
        (1.0 - growth(evidence.bursts, 1.3, 3.0)) * growth(left.min(steady), 2.0, 6.0),
        10.0,
        "and nothing else comes in bursts".to_owned(),
    );
    if let Some(parent) = &evidence.parent {
        follows(&mut add, parent);
    }
    add(
        "excess",
        evidence.excess,
        ramp(evidence.excess, 0.0, 0.3),
        9.5,
        format!(
            "{:.0} % of the calls have no single object fetched before them",
            100.0 * evidence.excess
        ),
    );
    if let (Some(slope), Some(peak), Some(mean)) = (
        evidence.requests_per_call,
        evidence.peak_per_request,
        evidence.per_request,
    ) {
        add(
            "apart-from-requests",
            slope,
            (1.0 - ramp(slope, 0.03, 0.2)) * growth(left, 1.5, 6.0),
            6.5,
            format!("one more call comes with {slope:.2} more requests"),
        );
        add(
            "once-per-request",
            slope,
            0.66 * ramp(slope, 0.15, 0.4) + 0.34 * ramp(slope, 0.4, 0.9),
            -17.0,
            format!("one more call comes with {slope:.2} more requests"),
        );
        add(
            "busiest-window",
            peak,
            growth(peak, 0.5, 1.5),
            5.0,
            format!("{peak:.1} calls per request in the busiest window"),
        );
        add(
            "calls-per-request",
            mean,
            growth(mean, 0.2, 0.5),
            4.0,
            format!("{mean:.1} calls per request"),
        );
    }
    add(
        "own-key",
        1.0,
        f64::from(u8::from(kind == Kind::BelongsTo)),
        -10.5,
        "fetches one object by its own key, which honest pages do most".to_owned(),
    );
    add(
        "insert",
        1.0,
        f64::from(u8::from(kind == Kind::Insert)),
        2.5,
        "inserts, which pages seldom do more than once".to_owned(),
    );
    add(
        "one-to-one",
        evidence.one_to_one,
        1.0 - ramp(evidence.one_to_one, 0.03, 0.2),
        -12.0,
        "runs as often as single objects are fetched before it".to_owned(),
    );
    let sum: f64 = terms.iter().map(|term| term.points).sum();
    (sum.clamp(0.0, 100.0).round(), terms)
}

/// Terms of the list whose rows the calls may follow.
fn follows(add: &mut impl FnMut(&'static str, f64, f64, f64, String), parent: &ParentEvidence) {
    let several = ramp(parent.amplification, 1.0, 2.0);
    add(
        "keys-tie-the-list",
        1.0,
        f64::from(u8::from(parent.tied)),
        7.5,
        "a key, a join or a name ties a list to it".to_owned(),
    );
    add(
        "amplification",
        parent.amplification,
        several * ramp(parent.share, 0.1, 0.5),
        3.0,
        format!(
            "{:.1} calls for each execution of the list, {:.0} % of all",
            parent.amplification,
            100.0 * parent.share.min(1.0)
        ),
    );
    add(
        "explained-by-the-list",
        parent.gain,
        ramp(parent.gain, 0.2, 1.5) * several,
        6.0,
        format!(
            "rows of the list explain {:.0} % of how the calls vary",
            100.0 * (1.0 - (-parent.gain).exp())
        ),
    );
    add(
        "correlation",
        parent.correlation,
        ramp(parent.correlation, 0.5, 0.95) * several,
        8.0,
        format!(
            "calls and rows of the list move together: {:.2}",
            parent.correlation
        ),
    );
    add(
        "certainty",
        parent.certainty,
        growth(parent.certainty, 1.0, 8.0) * several,
        8.0,
        format!(
            "{:.2} calls for each row, {:.1} standard errors from none",
            parent.slope, parent.certainty
        ),
    );
    add(
        "row-for-row",
        parent.row_for_row,
        0.53 * (1.0 - ramp(parent.row_for_row, 0.0, 0.15))
            + 0.47 * (1.0 - ramp(parent.row_for_row, 0.15, 0.6)),
        15.0,
        format!(
            "calls and rows of the list differ by {:.0} %, window by window",
            100.0 * parent.row_for_row
        ),
    );
}

/// From 0 at `low` to 1 at `high`, by the logarithm.
fn growth(value: f64, low: f64, high: f64) -> f64 {
    ramp(value.max(1e-3).ln(), low.ln(), high.ln())
}

/// Whether a single reading leaves room for a loop: a list that could have caused the calls, and nothing else.
pub(super) fn possible(evidence: &Evidence, kind: Kind) -> bool {
    let listed = evidence.list_rows.is_some_and(|(rows, executions)| {
        rows >= 0.5 * evidence.calls && evidence.calls >= 2.5 * executions
    });
    match kind {
        Kind::Insert => false,
        _ => listed && evidence.excess >= 0.5,
    }
}

/// The verdict of a score.
pub(super) fn verdict(score: f64) -> Verdict {
    match score {
        s if s >= STRONG => Verdict::Strong,
        s if s >= SUSPECT => Verdict::Suspect,
        _ => Verdict::None,
    }
}
