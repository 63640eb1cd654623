//! What a run of `dbops check` costs the nodes: connections and statements, as the servers log them.

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::{Cluster, PgBouncer};

use crate::common::{Ctx, eventually, tests};

tests!(Ends: a_run_takes_one_connection_and_few_statements_of_each_node);

/// Thirty rules over all that is read without looking at tables.
const RULES: &str = include_str!("../fixtures/thirty_rules.yaml");

/// Most statements of a run that a node may be asked for.
const MOST: usize = 8;

/// What a server logged since a mark: connections of dbops, and its statements. Each message of a client that runs
/// something is one, BEGIN, SET and COMMIT among them; none holds more than one statement.
#[derive(Debug)]
struct Cost {
    connections: usize,
    statements: Vec<String>,
}

fn logged(cluster: &Cluster, mark: &str) -> Cost {
    let log = cluster.log_tail(usize::MAX);
    let since = log.rfind(mark).map_or("", |at| &log[at..]);
    let statements = (since.lines())
        .filter(|line| line.contains("|dbops "))
        .filter(|line| line.contains("|LOG:  statement: ") || line.contains("|LOG:  execute "))
        .map(str::to_owned)
        .collect();
    let connections = (since.lines())
        .filter(|line| line.contains("|LOG:  connection authorized"))
        .filter(|line| line.contains("application_name=dbops "));
    Cost {
        connections: connections.count(),
        statements,
    }
}

/// Writes a line into a server's log.
async fn mark(cluster: &Cluster, name: &str) -> Result<()> {
    let client = cluster.connect("postgres").await?;
    client
        .query_typed(&format!("select '{name}'"), &[])
        .await
        .context("marking a log")?;
    Ok(())
}

async fn a_run_takes_one_connection_and_few_statements_of_each_node(ctx: &Ctx) -> Result<()> {
    let logs = [
        ("log_statement", "all"),
        ("log_connections", "on"),
        ("log_line_prefix", "%p|%a|"),
    ];
    let mut builder = ctx.private_cluster()?.config("archive_mode", "on");
    builder = builder.config("archive_command", "true");
    // Then the rate of WAL is measured too.
    builder = builder.config("max_slot_wal_keep_size", "1GB");
    for (name, value) in logs {
        builder = builder.config(name, value);
    }
    let primary = builder.start().await?;
    let mut standbys = Vec::new();
    for name in ["menu", "olap"] {
        let mut builder = primary.standby(name).slot(name);
        for (name, value) in logs {
            builder = builder.config(name, value);
        }
        standbys.push(builder.start().await?);
    }
    let mut far = primary.standby("far").through(&standbys[0]);
    for (name, value) in logs {
        far = far.config(name, value);
    }
    standbys.push(far.start().await?);
    let bouncer = PgBouncer::builder(ctx.pgbouncer()?, &primary)
        .config("log_connections", "1")
        .start()
        .await?;
    ctx.plan(&format!(
        "targets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n      - {{ name: menu, url: \"{}\" }}\n      \
         - {{ name: olap, url: \"{}\" }}\n      - {{ name: far, url: \"{}\", upstream: menu }}\n    \
         poolers: [{{ name: pgb, kind: pgbouncer, url: \"{}\" }}]\n{RULES}",
        primary.url(),
        standbys[0].url(),
        standbys[1].url(),
        standbys[2].url(),
        bouncer.admin_url(),
    ))?;
    let check = async || ctx.dbops().args(["check", "-o", "json"]).run().await;
    // Until the cascade has everything.
    eventually("the check is green", async || {
        Ok(check().await?.status.success())
    })
    .await?;
    let nodes: Vec<(&str, &Cluster)> = std::iter::once(("primary", &primary))
        .chain(["menu", "olap", "far"].into_iter().zip(&standbys))
        .collect();
    for (name, cluster) in &nodes {
        mark(cluster, &format!("before_{name}")).await?;
    }
    let report = check().await?.exits_with(0)?.json()?;
    ensure!(report["counts"]["unknown"] == 0, "{report:#}");
    ensure!(
        report["findings"].as_array().is_some_and(|all| all
            .iter()
            .any(|one| one["id"] == "lag" && one["basis"] == "probe")),
        "{report:#}"
    );
    for (name, cluster) in &nodes {
        let cost = logged(cluster, &format!("before_{name}"));
        ensure!(cost.connections == 1, "{name}: {cost:#?}");
        ensure!(!cost.statements.is_empty(), "{name}: {cost:#?}");
        ensure!(cost.statements.len() <= MOST, "{name}: {cost:#?}");
        let several =
            |line: &&String| line.trim_end_matches(';').contains(';') && !line.contains(": do ");
        ensure!(
            !cost.statements.iter().any(|line| several(&line)),
            "{name}: {cost:#?}"
        );
    }
    Ok(())
}
