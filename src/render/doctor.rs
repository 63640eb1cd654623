//! `doctor` for people and as JSON.

use serde::Serialize;
use serde_json::json;

use super::json::pretty;
use super::words::{clean, plural};
use crate::checks::doctor::{Check, State};
use crate::failure::Exit;

/// One target's checks.
#[derive(Debug, Clone, Serialize)]
pub struct DoctorReport {
    /// The target's name.
    pub target: String,
    /// The database.
    pub database: String,
    /// The role that dbops connects as.
    pub role: String,
    /// Every check, in its fixed order.
    pub checks: Vec<Check>,
}

/// The JSON form: `dbops.doctor/1`.
pub fn json(reports: &[DoctorReport], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.doctor/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}

/// One line a check; below those that are not ok why it matters and what to do.
pub fn text(report: &DoctorReport) -> String {
    let wide = |of: fn(&Check) -> usize| report.checks.iter().map(of).max().unwrap_or_default();
    let states = wide(|check| word(check.state).len());
    let ids = wide(|check| check.id.len());
    let margin = " ".repeat(states + ids + 4);
    let mut out = format!(
        "target {}: database {}, role {}\n",
        report.target,
        clean(&report.database),
        clean(&report.role)
    );
    for check in &report.checks {
        out.push_str(&format!(
            "{:states$}  {:ids$}  {}\n",
            word(check.state),
            check.id,
            clean(&check.found)
        ));
        if !check.why.is_empty() {
            out.push_str(&format!("{margin}why: {}\n", clean(&check.why)));
        }
        for fix in &check.fix {
            out.push_str(&format!("{margin}fix: {}\n", clean(fix)));
        }
    }
    let count = |state: State| {
        report
            .checks
            .iter()
            .filter(|check| check.state == state)
            .count()
    };
    out.push_str(&format!(
        "{}, {}, {} unknown, {} ok\n",
        plural(count(State::Problem), "problem"),
        plural(count(State::Warning), "warning"),
        count(State::Unknown),
        count(State::Ok)
    ));
    out
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Unknown => "unknown",
        State::Warning => "warning",
        State::Problem => "problem",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ok_says_why_and_what_to_do() {
        let check = |id, state, why: &str, fix: &[&str]| Check {
            id,
            state,
            found: format!("found {id}"),
            why: why.to_owned(),
            fix: fix.iter().map(|&fix| fix.to_owned()).collect(),
        };
        let report = DoctorReport {
            target: "main".to_owned(),
            database: "app".to_owned(),
            role: "dba".to_owned(),
            checks: vec![
                check("one", State::Ok, "", &[]),
                check("second", State::Problem, "it breaks", &["mend it;"]),
            ],
        };
        assert_eq!(
            text(&report),
            "\
target main: database app, role dba
ok       one     found one
problem  second  found second
                 why: it breaks
                 fix: mend it;
1 problem, 0 warnings, 0 unknown, 1 ok
"
        );
        let json: serde_json::Value =
            serde_json::from_str(&json(&[report], Exit::Findings)).unwrap();
        assert_eq!(json["format"], "dbops.doctor/1");
        assert_eq!(json["targets"][0]["checks"][1]["state"], "problem");
    }
}
