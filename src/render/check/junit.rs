//! The verdict for CI servers: JUnit XML, one test case a finding.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{Report, about, fix, ground, limits, place, reading};
use crate::checks::verdict::Status;

/// Renders all findings: broken rules fail, what is not known is an error, nodes that are down are skipped.
/// Warnings fail where `warnings_fail`; else they are told in a test that passes.
pub fn junit(report: &Report, warnings_fail: bool) -> String {
    let mut suite = TestSuite::new("dbops check");
    for one in &report.verdict.findings {
        let text = format!(
            "{}: {} ({}), {}",
            about(one),
            reading(one),
            limits(&one.limits),
            ground(one)
        );
        let mut status = match one.status {
            _ if one.mute.is_some() => TestCaseStatus::skipped(),
            Status::Critical => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Status::Warning if warnings_fail => {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            }
            Status::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
            Status::Skipped => TestCaseStatus::skipped(),
            Status::Ok | Status::Pending | Status::Warning => TestCaseStatus::success(),
        };
        status.set_message(text.clone());
        if let Some(fix) = fix(one) {
            status.set_description(fix);
        }
        let mut case = TestCase::new(format!("{} {}", one.rule, about(one)), status);
        case.set_classname(one.metric.name);
        if one.status == Status::Warning || one.status == Status::Pending {
            case.set_system_out(format!("{}: {text}", one.status.name()));
        }
        if let Some(place) = place(&one.origin) {
            case.extra.insert("file".into(), place.into());
        }
        suite.add_test_case(case);
    }
    let mut junit = Junit::new("dbops");
    junit.add_test_suite(suite);
    junit.to_string().unwrap_or_default()
}
