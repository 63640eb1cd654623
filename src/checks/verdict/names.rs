//! Names of metrics and of their families as text: a saved figure keeps to the names that there are.

use crate::plan_file::metric::METRICS;

/// Returns the name that is known here, of a metric or of a family.
pub fn known(name: &str) -> Option<&'static str> {
    METRICS.iter().find_map(|metric| {
        let family = metric.name.split('.').next();
        (metric.name == name)
            .then_some(metric.name)
            .or(family.filter(|family| *family == name))
    })
}
