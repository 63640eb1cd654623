//! The HTTP side: requests get what the last look found, and never reach a database.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::latest::{Forms, Latest, NOT_YET, OfTarget};
use crate::checks::ready::{Nodes, Ready, is_served};
use crate::render::check::waiting;

/// Connections at the same time; those beyond wait until one is given up.
const MOST_CONNECTIONS: usize = 256;
/// Longest wait for the head of a request, on a connection that says nothing as well.
const HEAD: Duration = Duration::from_secs(10);
/// Longest wait for requests that run when it is told to end.
const GRACE: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The page brings its style; everything else is forbidden.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What all requests share.
#[derive(Clone)]
struct Shared {
    latest: watch::Receiver<Latest>,
    token: Option<Arc<str>>,
    pace: Duration,
}

/// Makes the routes.
pub(super) fn router(
    latest: watch::Receiver<Latest>,
    token: Option<String>,
    pace: Duration,
) -> Router {
    let shared = Shared {
        latest,
        token: token.map(Into::into),
        pace,
    };
    let closed = Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/api/check", get(json))
        .route_layer(from_fn_with_state(shared.clone(), with_token));
    Router::new()
        .route("/health", get(async || text(StatusCode::OK, "alive")))
        .route("/ready", get(all_ready))
        .route("/ready/{name}", get(named_ready))
        .route("/ready/{name}/{node}", get(node_ready))
        .route("/ready/{name}/{target}/{node}", get(node_of_target_ready))
        .merge(closed)
        .fallback(async || text(StatusCode::NOT_FOUND, "there is nothing of that name"))
        .with_state(shared)
}

/// Serves on a thread of its own until it is told to stop; what is returned is ready once it has ended.
///
/// Looks compute, and wait for the lock of a state file: that must not delay whoever asks.
///
/// # Errors
/// The thread or its runtime cannot be started.
pub(super) fn start(
    listener: std::net::TcpListener,
    router: Router,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<oneshot::Receiver<()>> {
    listener
        .set_nonblocking(true)
        .context("preparing the listener")?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime of the server")?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener).context("preparing the listener")?
    };
    let (over, ended) = oneshot::channel();
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            runtime.block_on(serve(listener, router, stop));
            // Nobody waits for it where the process ends for another reason.
            let _ = over.send(());
        })
        .context("starting the thread of the server")?;
    Ok(ended)
}

/// Serves until it is told to stop; requests that run are ended, for a while.
async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.wait_for(|yes| *yes) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|yes| *yes) => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, mostly: trying again at once would burn a core.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that goes away is no failure of ours.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    // What takes longer is cut off with the process.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

async fn with_token(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(token) = &shared.token else {
        return next.run(request).await;
    };
    let given = request.headers().get(AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // In constant time, so that a guess does not show how far it is right.
    if given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
        return next.run(request).await;
    }
    let mut response = text(StatusCode::UNAUTHORIZED, "a token is needed");
    let scheme = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (status, headers, body.into()).into_response()
}

fn text(status: StatusCode, line: &str) -> Response {
    answer(status, PLAIN, format!("{line}\n"))
}

fn unavailable(why: &str) -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn form(shared: &Shared, kind: &'static str, of: impl Fn(&Forms) -> &Bytes) -> Response {
    match shared.latest.borrow().forms(shared.pace) {
        Ok(forms) => answer(StatusCode::OK, kind, of(&forms).clone()),
        Err(why) => unavailable(why),
    }
}

async fn json(State(shared): State<Shared>) -> Response {
    form(&shared, JSON, |forms| &forms.json)
}

async fn metrics(State(shared): State<Shared>) -> Response {
    form(&shared, METRICS, |forms| &forms.metrics)
}

async fn page(State(shared): State<Shared>) -> Response {
    match shared.latest.borrow().forms(shared.pace) {
        Ok(forms) => answer(StatusCode::OK, HTML, forms.page.clone()),
        // A browser that came at a bad moment comes again.
        Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, HTML, waiting(why)),
    }
}

fn ready_or_not(ready: bool) -> Response {
    if ready {
        text(StatusCode::OK, "ready")
    } else {
        unavailable("not ready")
    }
}

/// Every target has a primary, and it is ready.
async fn all_ready(State(shared): State<Shared>) -> Response {
    let latest = shared.latest.borrow();
    let all = match latest.all(shared.pace) {
        Ok(all) => all,
        Err(why) => return unavailable(why),
    };
    let takes_writes = |one: &&OfTarget| {
        let nodes = one.ready.values();
        let primaries: Vec<&Ready> = nodes.filter(|one| one.role == "primary").collect();
        !primaries.is_empty() && primaries.iter().all(|one| one.ready)
    };
    ready_or_not(all.iter().all(takes_writes))
}

/// A group of the plan files, or a node.
async fn named_ready(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let latest = shared.latest.borrow();
    if !is_group(&latest, &name) {
        return one_ready(&latest, Wanted::node(None, &name), shared.pace);
    }
    let all = match latest.all(shared.pace) {
        Ok(all) => all,
        Err(why) => return unavailable(why),
    };
    let nodes = all.iter().filter_map(|one| one.groups.get(&name));
    let nodes: Nodes = nodes
        .flatten()
        .map(|(key, ready)| (key.clone(), ready.clone()))
        .collect();
    ready_or_not(is_served(&nodes))
}

/// A node of a group, or of a target.
async fn node_ready(
    State(shared): State<Shared>,
    Path((name, node)): Path<(String, String)>,
) -> Response {
    let latest = shared.latest.borrow();
    let wanted = if is_group(&latest, &name) {
        Wanted {
            group: Some(&name),
            target: None,
            node: &node,
        }
    } else {
        Wanted::node(Some(&name), &node)
    };
    one_ready(&latest, wanted, shared.pace)
}

/// A node of a group, where several targets have one of that name.
async fn node_of_target_ready(
    State(shared): State<Shared>,
    Path((name, target, node)): Path<(String, String, String)>,
) -> Response {
    let latest = shared.latest.borrow();
    if latest.known().next().is_some() && !is_group(&latest, &name) {
        return text(StatusCode::NOT_FOUND, "there is no such group");
    }
    let wanted = Wanted {
        group: Some(&name),
        target: Some(&target),
        node: &node,
    };
    one_ready(&latest, wanted, shared.pace)
}

/// Whether the plan files have a group of this name; they tell with each target.
fn is_group(latest: &Latest, name: &str) -> bool {
    latest
        .known()
        .any(|(_, seen)| seen.groups.contains_key(name))
}

/// The node that is asked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    group: Option<&'a str>,
    target: Option<&'a str>,
    node: &'a str,
}

impl<'a> Wanted<'a> {
    fn node(target: Option<&'a str>, node: &'a str) -> Self {
        Self {
            group: None,
            target,
            node,
        }
    }

    /// Whether it is among the nodes of a target, and ready.
    fn of(self, target: &str, seen: &'a OfTarget) -> Option<&'a Ready> {
        let nodes = match self.group {
            Some(group) => seen.groups.get(group)?,
            None => &seen.ready,
        };
        let key = (target.to_owned(), self.node.to_owned());
        let is_meant = self.target.is_none_or(|wanted| wanted == target);
        nodes.get(&key).filter(|_| is_meant)
    }
}

fn one_ready(latest: &Latest, wanted: Wanted<'_>, pace: Duration) -> Response {
    let found = latest
        .known()
        .filter_map(|(target, seen)| Some((seen, wanted.of(target, seen)?)));
    let found: Vec<(&OfTarget, &Ready)> = found.collect();
    match found[..] {
        [] if latest.is_incomplete(wanted.target) => unavailable(NOT_YET),
        [] => text(StatusCode::NOT_FOUND, "there is no such node"),
        [(seen, one)] => match seen.fresh(pace) {
            Err(why) => unavailable(why),
            Ok(_) if one.kept => text(StatusCode::OK, "ready, kept: too few others are"),
            Ok(_) => ready_or_not(one.ready),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "several targets have a node of that name: put the target before it",
        ),
    }
}
