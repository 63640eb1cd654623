//! Connections: settings in the libpq vocabulary, TLS, and the settings of each kind of session.
//!
//! ```text
//! flags, DATABASE_URL, service file, PG* ──settings::resolve──► Settings ──session::connect──► Session
//! plan file's targets ──target::resolve──┘
//! ```
//!
//! Nothing here reads the environment: it comes in as [`Env`].

pub mod conninfo;
pub mod console;
pub mod env;
pub mod failure;
pub mod keywords;
pub mod options;
pub mod pgpass;
pub mod plain;
pub mod reach;
pub mod secret;
pub mod service;
pub mod session;
pub mod settings;
pub mod target;
pub mod wait;

mod dial;
mod pooler;
mod tls;
mod url;
mod verify;

pub use env::Env;
pub use pooler::{PoolMode, Pooler};
pub use secret::Secret;
pub use session::{
    Canceller, Endpoint, Notice, Purpose, Session, begin_read, connect, connect_any,
    connect_console,
};
pub use settings::{Overrides, Settings};
