//! Who is connected: sessions and limits of a server, pools of a PgBouncer, as plain data.
//!
//! ```text
//! server ──server::read──► ServerSample ─┐
//!                                        ├─► checks::pool
//! console ──console::read──► ConsoleSample ─┘
//! ```

pub mod console;
pub mod doors;
pub mod model;
pub mod server;
