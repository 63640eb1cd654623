//! The page of `dbops serve` in a real browser: what it shows, on a phone as well, light and dark, and that it fetches
//! nothing but itself.

#![expect(clippy::disallowed_methods, reason = "a test sets up what it tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::browser::Browser;
use crate::common::{Ctx, Running, eventually, tests};
use crate::serve::{SERVE, address, get};

tests!(
    Ends: a_browser_shows_every_panel_with_its_last_hours_at_any_width_light_and_dark,
    a_browser_asks_again_by_itself_and_fetches_nothing_else,
);

/// Of a page in a frame of some width: how wide it becomes, its colours and what is in it.
const MEASURE: &str = r#"<!doctype html>
<iframe id="frame" src="page.html" style="width:WIDTHpx;height:4000px;border:0"></iframe><pre id="out"></pre>
<script>
frame.onload = () => {
  const page = frame.contentDocument;
  const all = (what) => Array.from(page.querySelectorAll(what));
  out.textContent = JSON.stringify({
    width: page.documentElement.scrollWidth,
    back: getComputedStyle(page.body).backgroundColor,
    ink: getComputedStyle(page.body).color,
    panels: all('.panel').map((one) => one.id),
    lines: all('svg.chart polyline').length,
    bare: all('svg.chart polyline').filter((one) => one.getBoundingClientRect().width < 5).length,
    outside: all('td, th, svg.chart').filter((one) => one.getBoundingClientRect().right > WIDTH + 1).length,
  });
};
</script>
"#;

/// A server that looks at a primary with a replica, partitions and statements, and has looked a few times.
async fn started(ctx: &Ctx) -> Result<(Running, SocketAddr, [dbops::sandbox::Cluster; 2])> {
    let primary = ctx
        .private_cluster()?
        .config("shared_preload_libraries", "pg_stat_statements")
        .start()
        .await?;
    let menu = primary.standby("menu").slot("menu").start().await?;
    let admin = primary.connect("postgres").await?;
    admin
        .batch_execute(
            "create extension pg_stat_statements;
             create table public.\"<script>alert(1)</script>\" (at timestamptz not null, note text) partition by range (at);
             select count(*) from pg_class where relname = 'a secret value';",
        )
        .await?;
    ctx.plan(&format!(
        r#"targets:
  main:
    primary: {{ url: "{}" }}
    replicas: [{{ name: menu, url: "{}" }}]
rules:
  - {{ id: lag, metric: replica.visible_lag, warn: "> 10s" }}
  - {{ id: used, metric: conn.effective_used, warn: "> 0.1%", critical: "> 90%" }}
  - {{ id: size, metric: database.size, warn: "> 1000GB" }}
partitions:
  - {{ table: 'public."<script>alert(1)</script>"', every: month }}
"#,
        primary.url(),
        menu.url(),
    ))?;
    let mut server = ctx.dbops().args(SERVE).spawn().await?;
    let at = address(&mut server).await?;
    eventually("there are lines, not dots", async || {
        Ok(get(at, "/").await?.body.matches("<polyline").count() > 3)
    })
    .await?;
    Ok((server, at, [primary, menu]))
}

async fn a_browser_shows_every_panel_with_its_last_hours_at_any_width_light_and_dark(
    ctx: &Ctx,
) -> Result<()> {
    let (server, at, clusters) = started(ctx).await?;
    let browser = Browser::find()?;
    let (page, console) = browser.dump(&[], &format!("http://{at}/")).await?;
    ensure!(console.is_empty(), "{console}");
    ensure!(page.contains("id=\"findings\""), "{page}");
    // What is named like markup stays text.
    ensure!(!page.contains("<script>"), "{page}");
    ensure!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    ensure!(!page.contains("a secret value"), "{page}");
    for word in ["src=", "href=", "url(", "@import", "http:", "https:"] {
        ensure!(!page.contains(word), "{word}: {page}");
    }

    let dir = ctx.dir();
    std::fs::write(dir.join("page.html"), get(at, "/").await?.body)?;
    let mut grounds = Vec::new();
    for (width, scheme) in [(360, "1"), (360, "0"), (800, "1"), (1600, "1")] {
        let file = dir.join("measure.html");
        std::fs::write(&file, MEASURE.replace("WIDTH", &width.to_string()))?;
        // 0 is dark and 1 is light: mojom::PreferredColorScheme of Blink.
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let url = format!("file://{}", file.display());
        let (dom, _) = browser
            .dump(&[&scheme, "--window-size=1800,1200"], &url)
            .await?;
        let said = dom
            .split_once("<pre id=\"out\">")
            .and_then(|(_, rest)| rest.split_once("</pre>"));
        let said: Value = serde_json::from_str(said.context(dom.clone())?.0)?;
        let panels = [
            "replication",
            "connections",
            "query",
            "storage",
            "partitions",
            "indexes",
        ];
        ensure!(said["panels"] == serde_json::json!(panels), "{said:#}");
        ensure!(
            said["lines"].as_u64() > Some(3) && said["bare"] == 0,
            "{said:#}"
        );
        ensure!(
            said["width"] == width && said["outside"] == 0,
            "{width}: {said:#}"
        );
        ensure!(said["back"] != said["ink"], "{said:#}");
        grounds.push((said["back"].clone(), said["ink"].clone()));
        if let Some(to) = std::env::var_os("DBOPS_PICTURES") {
            let to = std::path::PathBuf::from(to).join(format!("{width}-{}.png", grounds.len()));
            let size = format!("--window-size={},2000", width.max(500));
            let page = format!("file://{}", dir.join("page.html").display());
            browser.picture(&[&scheme, &size], &page, &to).await?;
        }
    }
    ensure!(
        grounds[0] != grounds[1] && grounds[0] == grounds[2],
        "{grounds:?}"
    );
    drop((server, clusters));
    Ok(())
}

/// Passes requests on, one a connection, and takes note of what is asked for.
async fn between(to: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that a browser opens ahead asks for nothing.
            tokio::spawn(pass_on(stream, to, Arc::clone(&asked)));
        }
    });
    Ok(at)
}

async fn pass_on(
    mut from: TcpStream,
    to: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
) -> Result<()> {
    let mut head = vec![0; 8192];
    let read = from.read(&mut head).await?;
    let text = String::from_utf8_lossy(&head[..read]);
    let path = text.split(' ').nth(1).context("no request")?.to_owned();
    if let Ok(mut all) = asked.lock() {
        all.push(path.clone());
    }
    let answer = get(to, &path).await?;
    let (_, head) = answer.head.split_once("\r\n").context("no head")?;
    let text = format!(
        "HTTP/1.1 {} -\r\n{head}\r\n\r\n{}",
        answer.status, answer.body
    );
    from.write_all(text.as_bytes()).await?;
    from.shutdown().await?;
    Ok(())
}

async fn a_browser_asks_again_by_itself_and_fetches_nothing_else(ctx: &Ctx) -> Result<()> {
    let (server, at, clusters) = started(ctx).await?;
    let browser = Browser::find()?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let between = between(at, Arc::clone(&asked)).await?;
    let told = || asked.lock().map(|all| all.clone()).unwrap_or_default();
    let mut staying = browser.stay(&format!("http://{between}/"))?;
    eventually("the page is asked for three times", async || {
        Ok(told().iter().filter(|path| *path == "/").count() >= 3)
    })
    .await?;
    staying.kill().await?;
    for path in told() {
        // An icon is what a browser looks for without being told to.
        ensure!(path == "/" || path == "/favicon.ico", "{path}");
    }
    drop((server, clusters));
    Ok(())
}
