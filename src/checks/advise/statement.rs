//! Whether an index for a statement is proven: the planner would use it and the statement would cost less.

use super::{Finding, Kind, Planned, Verdict, candidate};
use crate::catalog::hypothetical::{Proof, Proofs};
use crate::catalog::index_model::{IndexCatalog, TableKind};
use crate::syntax::statement::Statement;
use crate::syntax::{Build, IndexSpec, KeyTarget};

/// A gain below this share of the cost is within what estimates are wrong by.
const MIN_GAIN: f64 = 0.10;

/// Judges the candidates of one statement. `proofs`: what the planner said to each, in order; `None`: it was not
/// asked because HypoPG is not installed.
pub fn judge(
    catalog: &IndexCatalog,
    statement: &Statement,
    candidates: &[IndexSpec],
    proofs: Option<&Proofs>,
) -> Vec<Finding> {
    let text = short(&statement.text);
    let Some(first) = candidates.first() else {
        return candidate::tables(catalog, statement)
            .first()
            .map(|table| {
                Finding::new(
                    Kind::Statement,
                    Verdict::Keep,
                    &table.name,
                    format!("no further index suggests itself for: {text}"),
                )
            })
            .into_iter()
            .collect();
    };
    let list = || {
        let texts: Vec<String> = candidates.iter().map(describe).collect();
        texts.join(", ")
    };
    let not_proven = |reason: String| {
        Finding::new(
            Kind::Statement,
            Verdict::NotProven,
            &first.table,
            format!("an index might serve, not proven: {reason}: {text}"),
        )
        .because(format!("candidates: {}", list()))
    };
    let proofs = match proofs {
        None => {
            return vec![
                not_proven("HypoPG is not installed in this database".to_owned()).next(
                    "create extension hypopg;  -- where the package is there; it writes nothing",
                ),
            ];
        }
        Some(Proofs::NotPlanned(reason)) => {
            return vec![not_proven(format!(
                "the server does not plan the statement: {reason}"
            ))];
        }
        Some(Proofs::Asked { cost, proofs }) => (*cost, proofs),
    };
    let (before, proofs) = proofs;
    let best = candidates
        .iter()
        .zip(proofs)
        .filter_map(|(spec, proof)| match proof {
            Proof::Used { cost, bytes } => Some((spec, *cost, *bytes)),
            Proof::NotUsed | Proof::Refused(_) => None,
        })
        .filter(|(_, cost, _)| *cost <= before * (1.0 - MIN_GAIN))
        // Of equal gains the shorter index.
        .min_by(|a, b| {
            a.1.total_cmp(&b.1)
                .then_with(|| a.0.keys.len().cmp(&b.0.keys.len()))
        });
    let Some((spec, cost, bytes)) = best else {
        let mut finding = Finding::new(
            Kind::Statement,
            Verdict::Keep,
            &first.table,
            format!(
                "none of {} hypothetical indexes would be used and save a tenth of the cost: {text}",
                candidates.len()
            ),
        )
        .because(format!("tried: {}", list()))
        .figure("cost_before", before);
        for proof in proofs {
            if let Proof::Refused(reason) = proof {
                finding = finding.because(format!("one could not be tried: {reason}"));
            }
        }
        return vec![finding];
    };
    let name = spec.name.clone().unwrap_or_default();
    let partitioned = catalog
        .tables
        .iter()
        .any(|table| table.name == spec.table && table.kind == TableKind::Partitioned);
    let step = if partitioned {
        format!(
            "{};  -- blocks writers; `dbops indexes apply` builds it partition by partition without",
            spec.sql(Build::Plain, &spec.table, &name)
        )
    } else {
        format!("{};", spec.sql(Build::Concurrently, &spec.table, &name))
    };
    let mut finding = Finding::new(
        Kind::Statement,
        Verdict::Advice,
        &spec.table,
        format!("the planner would use {}: {text}", describe(spec)),
    )
    .because(format!(
        "estimated cost {before:.0} now, {cost:.0} with it, by HypoPG; the statement was planned and not run"
    ))
    .figure("cost_before", before)
    .figure("cost_after", cost)
    .next(step);
    if let Some(bytes) = bytes {
        finding = finding
            .because(format!(
                "it would take about {} MiB",
                (bytes as f64 / 1_048_576.0).ceil()
            ))
            .figure("index_bytes", bytes as f64);
    }
    finding.plan = Some(Planned::Present(Box::new(spec.clone())));
    vec![finding]
}

fn describe(spec: &IndexSpec) -> String {
    let keys: Vec<String> = spec
        .keys
        .iter()
        .map(|key| {
            let name = match &key.target {
                KeyTarget::Column(name) => crate::ident::quote_if_needed(name),
                KeyTarget::Expression(text) => text.clone(),
            };
            format!("{name}{}", if key.desc { " desc" } else { "" })
        })
        .collect();
    format!("{} ({})", spec.table, keys.join(", "))
}

/// A statement in one line.
fn short(text: &str) -> String {
    const MOST: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, table};
    use super::*;
    use crate::syntax::statement::statements;

    fn verdict(proofs: Option<Proofs>) -> Finding {
        let case = Case::of(vec![table("t")]);
        let statement = statements("select * from t where a = 1 and b > 2")
            .unwrap()
            .remove(0);
        let candidates = candidate::candidates(&case.catalog, &statement);
        assert_eq!(candidates.len(), 3);
        judge(&case.catalog, &statement, &candidates, proofs.as_ref()).remove(0)
    }

    fn used(cost: f64) -> Proof {
        Proof::Used {
            cost,
            bytes: Some(3 << 20),
        }
    }

    #[test]
    fn only_what_the_planner_uses_is_advised() {
        let asked = |proofs| {
            Some(Proofs::Asked {
                cost: 100.0,
                proofs,
            })
        };
        let found = verdict(asked(vec![used(8.0), used(20.0), Proof::NotUsed]));
        assert_eq!(found.verdict, Verdict::Advice);
        assert!(found.next[0].contains("(\"a\", \"b\")"));
        assert_eq!(found.figures["cost_after"], 8.0);
        let found = verdict(asked(vec![used(8.0), used(8.0), used(9.0)]));
        assert!(found.next[0].contains("(\"a\")"));
        let found = verdict(asked(vec![
            used(95.0),
            Proof::NotUsed,
            Proof::Refused("no".to_owned()),
        ]));
        assert_eq!((found.verdict, found.next.len()), (Verdict::Keep, 0));
        assert_eq!(verdict(None).verdict, Verdict::NotProven);
        let refused = Some(Proofs::NotPlanned("syntax".to_owned()));
        assert_eq!(verdict(refused).verdict, Verdict::NotProven);
    }
}
