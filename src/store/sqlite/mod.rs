//! The engine: SQLite, its files, and how processes share them.

mod connection;
mod copy;
mod creation;
mod data_directory;
mod engine;
mod error;
mod inspect;
mod integrity;
mod lock;
mod migrations;
mod open;
mod replacement;
mod staging;
mod store;
mod test_hooks;
mod writer;

pub(super) use copy::FileSide;
pub use creation::Creation;
pub use lock::LOCKS;
#[cfg(test)]
pub(super) use migrations::in_new_database;
pub use replacement::Replacement;
pub use staging::{Copied, StagedDatabase, remove_older};
pub use store::SqliteStore;
pub use test_hooks::SqliteHooks;
