//! The engine: SQLite, its files, and how processes share them.

mod connection;
mod creation;
mod health;
mod integrity;
mod lock;
mod look;
mod migrations;
mod open;
mod owner;
mod probe;
mod replacement;
mod staging;
mod store;
mod transaction;
mod writer;

pub use creation::Creation;
pub use lock::LOCKS;
pub use open::{Access, OpenOptions};
pub use probe::Probe;
pub use replacement::Replacement;
pub use staging::{StagedDatabase, remove_older};
pub use store::Store;
pub use transaction::{Reader, Tx};
