//! The scorecard: terms, each with its figure and its points, and the verdict that they add up to.
//!
//! The points come from a logistic regression over labelled runs of ten ORMs and over simulated applications, half
//! of each kept back (`tests/n_plus_one.rs`); they are scaled so that 50 is the line between yes and no.

use serde::Serialize;

use super::evidence::Evidence;
use super::gate::Kind;
use super::regression::ramp;
use super::schema::ColumnClass;

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
/// Calls that clump no more than this are single calls.
const SINGLE_CALLS: f64 = 1.6;
const CAP_SINGLE: f64 = 35.0;

/// Returns the terms with points, and their sum within 0 and 100.
pub(super) fn score(evidence: &Evidence, class: ColumnClass, kind: Kind) -> (f64, Vec<Term>) {
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
    let left = evidence.clumping_left.max(1e-3);
    add(
        "clumping",
        left,
        ramp(left.ln(), 2_f64.ln(), 8_f64.ln()),
        26.0,
        format!("calls come in bundles: their variance is {left:.1} times that of single calls"),
    );
    let calm = 1.0 - ramp(evidence.bursts.ln(), 1.5_f64.ln(), 4_f64.ln());
    add(
        "clumping-in-calm-traffic",
        evidence.bursts,
        calm * ramp(left.ln(), 2.5_f64.ln(), 6_f64.ln()),
        21.0,
        "and nothing else comes in bursts".to_owned(),
    );
    let relative = (left / evidence.bursts).max(1e-3);
    add(
        "clumping-of-the-rest",
        relative,
        ramp(relative.ln(), 0.7_f64.ln(), 4_f64.ln()),
        16.0,
        format!("{relative:.1} times as bundled as statements that no loop can run"),
    );
    if let Some(parent) = &evidence.parent {
        let several = ramp(parent.amplification, 1.0, 2.0);
        add(
            "amplification",
            parent.amplification,
            ramp(parent.amplification, 1.0, 3.0) * ramp(parent.share, 0.0, 0.4),
            13.0,
            format!(
                "{:.1} calls for each execution of the list, {:.0} % of all",
                parent.amplification,
                100.0 * parent.share.min(1.0)
            ),
        );
        add(
            "explained-by-the-list",
            parent.gain,
            ramp(parent.gain, 0.1, 1.2) * several,
            24.0,
            format!(
                "rows of the list explain {:.0} % of how the calls vary",
                100.0 * (1.0 - (-parent.gain).exp())
            ),
        );
        add(
            "correlation",
            parent.correlation,
            ramp(parent.correlation, 0.3, 0.7) * several,
            15.0,
            format!(
                "calls and rows of the list move together: {:.2}",
                parent.correlation
            ),
        );
    }
    add(
        "excess",
        evidence.excess,
        ramp(evidence.excess, 0.0, 0.6),
        12.0,
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
            "once-per-request",
            slope,
            ramp(slope, 0.15, 0.5),
            -32.0,
            format!("one more call comes with {slope:.2} more requests"),
        );
        add(
            "busiest-window",
            peak,
            ramp(peak.max(1e-3).ln(), 0.0, 1.0),
            11.0,
            format!("{peak:.1} calls per request in the busiest window"),
        );
        add(
            "calls-per-request",
            mean,
            ramp(mean.max(1e-3).ln(), 0.0, 0.3),
            6.0,
            format!("{mean:.1} calls per request"),
        );
    }
    let own = class == ColumnClass::PrimaryKey;
    let writes = matches!(kind, Kind::Update | Kind::Delete);
    add(
        "own-key",
        1.0,
        f64::from(u8::from(own)),
        if writes { -8.0 } else { -24.0 },
        "looks up a table's own key, which honest pages do most".to_owned(),
    );
    add(
        "one-to-one",
        evidence.one_to_one,
        1.0 - ramp(evidence.one_to_one, 0.02, 0.08),
        -6.0,
        "runs as often as single objects are fetched before it".to_owned(),
    );
    let sum: f64 = terms.iter().map(|term| term.points).sum();
    let most = if left < SINGLE_CALLS {
        CAP_SINGLE
    } else {
        100.0
    };
    (sum.clamp(0.0, most).round(), terms)
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
