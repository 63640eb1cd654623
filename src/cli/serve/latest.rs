//! What the last look found, in every form that is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use crate::checks::ready::Nodes;
use crate::checks::verdict::Gathered;
use crate::render::check::{self as render, Report};

/// The last look.
#[derive(Debug)]
pub(super) struct Latest {
    /// When it began: what it shows is no older.
    pub(super) begun: Instant,
    /// Which nodes may be given requests.
    pub(super) ready: Nodes,
    /// The same of the groups of the plan files.
    pub(super) groups: BTreeMap<String, Nodes>,
    /// The verdict.
    pub(super) forms: Forms,
}

/// A verdict in the forms that are asked for; made once a look, however many ask.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) json: Bytes,
    pub(super) metrics: Bytes,
    pub(super) page: Bytes,
}

impl Forms {
    /// Renders a verdict.
    pub(super) fn of(report: &Report, gathered: &Gathered, every: Duration) -> Self {
        Self {
            json: render::json(report).into(),
            metrics: render::openmetrics(report).into(),
            page: render::dashboard(report, gathered, every).into(),
        }
    }
}

impl Latest {
    /// Whether it is too old to be told, where a look follows another at this pace.
    pub(super) fn is_stale(&self, pace: Duration) -> bool {
        self.begun.elapsed() > pace * 2 + Duration::from_secs(1)
    }
}
