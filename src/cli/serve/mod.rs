//! `dbops serve`.

mod http;
mod latest;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use self::latest::{Forms, Latest, OfTarget};
use super::check::lanes::{Desk, News};
use super::check::rounds::{How, Rounds};
use super::context::Context;
use super::signals::watch_interrupts;
use crate::checks::ready::{Gates, Groups, Turns};
use crate::failure::{Exit, Failure};
use crate::plan_file::{Millis, ReadyGroup};

/// The variable that holds the token.
const TOKEN: &str = "DBOPS_TOKEN";

/// Look again and again, and answer over HTTP: health, readiness, metrics, the verdict and a page
///
/// Requests never connect to a database: they get what the last look found, and 503 once that is older than twice the time between looks. /health, /ready and below it are open to all; everything else wants `Authorization: Bearer` with the token in DBOPS_TOKEN, where it is set. It has to be set to listen on more than this machine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9188")]
    listen: SocketAddr,
    /// Time between two looks [default: `defaults.every` of the plan files, 30s]
    #[arg(long, value_name = "TIME")]
    every: Option<Millis>,
    /// Remember samples in this file, so that a restart forgets nothing
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Write nothing at all: lag of replicas is what the servers show, not that of a small commit (a logical message)
    #[arg(long)]
    no_probe: bool,
    /// Take figures that no server tells from this file, dbops.input/1
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Give up on a target after this long
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: Millis,
    /// Looks in a row after which a node is no longer ready
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    down_after: u32,
    /// Looks in a row after which a node is ready again
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    up_after: u32,
    /// Replicas of a target that stay ready as long as they can be connected to, so that a balancer is never left empty; groups of `ready:` have a `never_empty` of their own
    #[arg(long, value_name = "N", default_value_t = 1)]
    keep: usize,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let token = match context.env.var(TOKEN) {
        Some("") => {
            bail!(Failure::usage(format!("{TOKEN} is empty")).hint("unset it, or give it a token"))
        }
        token => token.map(str::to_owned),
    };
    if token.is_none() && !args.listen.ip().is_loopback() {
        bail!(
            Failure::usage(format!(
                "to listen on {}, a token is needed: others can reach it",
                args.listen
            ))
            .hint(format!(
                "set {TOKEN}, or listen on 127.0.0.1 behind a proxy"
            ))
        );
    }
    if context.as_of().is_some() {
        bail!(Failure::usage(
            "serve looks at what is now, and --as-of is one moment"
        ));
    }
    let rounds = Rounds::new(
        context,
        How {
            state: args.state.clone(),
            input: args.input.clone(),
            no_probe: args.no_probe,
            timeout: args.timeout,
            every: args.every,
        },
    )?;
    let every = rounds.every();
    // A look may take as long as its time-out, and a little to say good-bye, however often it is wanted.
    let pace = Duration::from_millis(every.max(args.timeout).0) + Duration::from_secs(1);
    let every = Duration::from_millis(every.0);
    let turns = Turns {
        down_after: args.down_after,
        up_after: args.up_after,
        keep: args.keep,
    };
    let board = watch::Sender::new(Latest::of(rounds.targets()));
    let stopped = AtomicBool::new(false);
    let desk = Desk::default();
    let (rounds, board, desk, stopped) = (&rounds, &board, &desk, &stopped);
    thread::scope(|scope| {
        let judge = thread::Builder::new().name("judge".to_owned());
        judge
            .spawn_scoped(scope, move || {
                let stop = || stopped.load(Ordering::Relaxed);
                let mut gates = OfTargets::default();
                let named = rounds.groups();
                rounds.judge_lanes(desk, stop, |news| {
                    gates.take(news, named, turns, every, board)
                });
            })
            .context("starting the thread that judges")?;
        let ended = context.block_on(async {
            let mut stop = watch_interrupts()?;
            let listener = TcpListener::bind(args.listen)
                .map_err(|error| Failure::usage(format!("{}: {error}", args.listen)))?;
            let address = listener.local_addr().context("reading the own address")?;
            let router = http::router(board.subscribe(), token, pace);
            let mut served = http::start(listener, router, stop.clone())?;
            context
                .ui
                .result(&format!("listening on http://{address}\n"))?;
            tokio::select! {
                wrong = rounds.look_in_lanes(desk) => wrong?,
                _ = stop.wait_for(|yes| *yes) => {}
                // Looks that nobody can ask for are worth nothing.
                ended = &mut served => {
                    ended.context("the server ended")?;
                    return Ok(Exit::Done);
                }
            }
            stopped.store(true, Ordering::Relaxed);
            served.await.context("ending the server")?;
            Ok(Exit::Done)
        });
        stopped.store(true, Ordering::Relaxed);
        desk.close();
        ended
    })
}

/// What is remembered of the nodes of each target between looks: a look at one says nothing of another.
#[derive(Default)]
struct OfTargets {
    all: BTreeMap<String, (Gates, Groups)>,
}

impl OfTargets {
    /// Puts what is new on the board.
    fn take(
        &mut self,
        news: News,
        named: &BTreeMap<String, ReadyGroup>,
        turns: Turns,
        every: Duration,
        board: &watch::Sender<Latest>,
    ) {
        let forms = (news.look).map(|look| Forms::of(&look.report, &look.gathered, every));
        let fresh = news.fresh.iter().map(|(target, begun, verdict)| {
            let (gates, groups) = self.all.entry(target.clone()).or_default();
            let seen = OfTarget {
                begun: *begun,
                ready: gates.next(verdict, turns),
                groups: groups.next(verdict, named, turns),
            };
            (target.clone(), seen)
        });
        let fresh: Vec<(String, OfTarget)> = fresh.collect();
        board.send_modify(|latest| latest.take(fresh, forms.map(Arc::new)));
    }
}
