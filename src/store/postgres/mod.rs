//! The engine: PostgreSQL, its connections, and how processes take turns at writing.
//!
//! A client of PostgreSQL waits for the network and must not do so on a thread of the executor. So everything here runs on blocking threads, on the writer
//! thread, or on a thread of its own.

mod connection;
mod copy;
mod dialect;
mod duties;
mod engine;
mod error;
mod listener;
mod migrations;
mod open;
mod pass_file;
mod presence;
mod probe;
mod readers;
mod server;
mod store;
mod target;
mod test_hooks;
mod tls;
mod value;
mod writer;

pub(super) use copy::ServerSide;
pub use open::{create_database, find_key_check};
pub use presence::is_served;
#[doc(hidden)]
pub use probe::refused_statements;
pub(super) use store::PostgresStore;
#[doc(hidden)]
pub use test_hooks::PostgresHooks;
