//! `pool budget`.

use serde_json::json;

use super::Side::{Left, Right};
use super::{fill, percent, table};
use crate::checks::pool::budget::{Budget, Line};
use crate::failure::Exit;
use crate::render::json::pretty;
use crate::render::words::clean;

/// The JSON form: `dbops.pool/1`.
pub fn json(reports: &[Budget], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.pool/1",
        "command": "budget",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}

/// The text for people.
pub fn text(budget: &Budget) -> String {
    let mut out = format!("target {}\n", clean(&budget.target));
    let rows = budget.lines.iter().map(row).collect();
    out.push_str(&table(
        &[
            ("", Left),
            ("name", Left),
            ("role", Left),
            ("kept", Right),
            ("at most", Right),
            ("how", Left),
        ],
        rows,
    ));
    let capacity = match budget.capacity {
        Some(capacity) => format!("{capacity} ({})", budget.capacity_basis),
        None => "not known".to_owned(),
    };
    let sum = match budget.declared_at_most {
        Some(most) if most == budget.declared => most.to_string(),
        Some(most) => format!("{} to {most}", budget.declared),
        None => format!("{} or more", budget.declared),
    };
    let verdict = match (budget.over, budget.unknown()) {
        (true, _) => "over",
        (_, true) => "not known",
        _ => "fits",
    };
    fill(
        &mut out,
        "",
        &format!(
            "{verdict}: {sum} connections declared, effective capacity {capacity}, {}",
            percent(budget.percent_at_most)
        ),
    );
    for wall in &budget.walls {
        let what = match wall.kind {
            "role" => "connection limit of role",
            _ => "max_client_conn of pooler",
        };
        let word = if wall.over { "over" } else { "fits" };
        fill(
            &mut out,
            "",
            &format!(
                "{word}: {} declared, {what} {} is {}",
                wall.declared, wall.name, wall.limit
            ),
        );
    }
    if let Some(others) = budget.others_now.filter(|others| *others > 0) {
        fill(
            &mut out,
            "",
            &format!(
                "not in the sum: {others} sessions now of roles that no application pool is declared for"
            ),
        );
    }
    if let Some(advice) = &budget.advice {
        fill(
            &mut out,
            "",
            &format!(
                "advice: about {} connections work at once at best: ({} cores x 2) + {} spindles, of all pools together; more of them wait inside the server",
                advice.connections, advice.machine.cores, advice.machine.spindles
            ),
        );
    }
    for one in &budget.not_known {
        let text = format!(
            "not known on {}: {} ({})",
            one.node,
            one.what,
            one.reason.code()
        );
        fill(&mut out, "", &text);
        fill(&mut out, "  ", &format!("do: {}", one.fix));
    }
    out
}

fn row(line: &Line) -> Vec<String> {
    vec![
        line.kind.to_owned(),
        line.name.clone(),
        line.role.clone().unwrap_or_default(),
        line.kept.to_string(),
        line.at_most
            .map_or_else(|| "?".to_owned(), |most| most.to_string()),
        line.basis.clone(),
    ]
}
