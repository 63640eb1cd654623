//! The nodes of a target with one connection to each, which can be kept from one round to the next.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::cli::context::{Context, Selected};
use crate::cli::replication;
use crate::conn::target::Node as Place;
use crate::conn::{Endpoint, Session, Settings, connect_any, connect_console};
use crate::sample::replication::model::{Declared, Silence, SilenceKind};
use crate::sample::replication::read::{late, silence};

/// How long the server may take to hear that dbops leaves.
const GOODBYE: Duration = Duration::from_millis(500);

/// What is at the other end of a connection.
pub(super) enum Link {
    /// A server.
    Server(Box<Session>),
    /// The console of a pooler.
    Console(Box<Session>),
    /// Nothing that answers, and why.
    Silent(Silence),
}

/// A node.
pub(super) struct Node {
    /// What is declared of it.
    pub(super) declared: Declared,
    /// How to reach it.
    pub(super) settings: Settings,
    /// The connection.
    pub(super) link: Link,
}

impl Node {
    fn new(declared: Declared, settings: Settings) -> Self {
        let link = Link::Silent(Silence {
            kind: SilenceKind::NotConnected,
            message: "nobody asked it yet".to_owned(),
        });
        Self {
            declared,
            settings,
            link,
        }
    }

    /// Connects to a server unless a connection is there; it may turn out to be the console of a pooler.
    pub(super) async fn connect(&mut self, limit: Duration) {
        if !self.is_connected() {
            self.link = match timeout(limit, connect_any(&self.settings)).await {
                Ok(Ok(Endpoint::Server(session))) => Link::Server(Box::new(session)),
                Ok(Ok(Endpoint::Console(session))) => Link::Console(Box::new(session)),
                Ok(Err(error)) => Link::Silent(silence(&error)),
                Err(_) => Link::Silent(late(limit)),
            };
        }
    }

    /// Connects to a console unless a connection is there.
    pub(super) async fn connect_console(&mut self, limit: Duration) {
        if !self.is_connected() {
            self.link = match timeout(limit, connect_console(&self.settings)).await {
                Ok(Ok(session)) => Link::Console(Box::new(session)),
                Ok(Err(error)) => Link::Silent(silence(&error)),
                Err(_) => Link::Silent(late(limit)),
            };
        }
    }

    fn is_connected(&self) -> bool {
        match &self.link {
            Link::Server(session) | Link::Console(session) => !session.is_closed(),
            Link::Silent(_) => false,
        }
    }

    /// The session, or why there is none.
    pub(super) fn session(&mut self) -> Result<&mut Session, Silence> {
        match &mut self.link {
            Link::Server(session) => Ok(session),
            Link::Console(_) => Err(Silence {
                kind: SilenceKind::NotConnected,
                message: format!("{} is the console of a pooler, not a server", self.settings),
            }),
            Link::Silent(silence) => Err(silence.clone()),
        }
    }
}

/// The nodes of a target.
pub(super) struct Nodes {
    /// The primary and the replicas.
    pub(super) servers: Vec<Node>,
    /// Consoles of poolers.
    pub(super) poolers: Vec<Node>,
}

impl Nodes {
    /// The nodes of a target, not connected yet.
    ///
    /// # Errors
    /// A setting of a node is wrong.
    pub(super) fn of(context: &Context, selected: &Selected) -> anyhow::Result<Self> {
        let servers = replication::declared(context, selected)?;
        let mut poolers = Vec::new();
        let declared = selected.target.iter().flat_map(|target| &target.poolers);
        for name in declared.filter_map(|one| one.name.as_deref()) {
            let settings = context.settings_of(selected, Place::Pooler(name))?;
            let declared = Declared {
                name: name.to_owned(),
                ..Declared::default()
            };
            poolers.push(Node::new(declared, settings));
        }
        Ok(Self {
            servers: (servers.into_iter())
                .map(|(declared, settings)| Node::new(declared, settings))
                .collect(),
            poolers,
        })
    }

    /// Leaves them all.
    pub(super) async fn close(self) {
        let all = self.servers.into_iter().chain(self.poolers);
        let leaving = all.filter_map(|node| match node.link {
            Link::Server(session) | Link::Console(session) => Some(session.close()),
            Link::Silent(_) => None,
        });
        // One that does not listen any more is left all the same.
        let _ = timeout(GOODBYE, join_all(leaving)).await;
    }
}
