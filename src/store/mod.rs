//! The database: all SQL, and nothing else. Each kind of row has one file of statements; `sqlite` and `postgres` are the engines below them, each known
//! by its own module alone. In between, `engine` says what an engine does, and `value` in which types values go to it and come back.
//!
//! [`Store::read`] runs a closure over a [`Reader`] on a pooled connection that can only read; [`Store::write`] runs a closure over a [`Tx`] on the single
//! writer thread, inside a transaction that many writes share. Both closures are synchronous, so a transaction never waits for a hash or the network.

mod audit;
mod audit_count;
mod audit_filter;
mod bounded;
mod columns;
mod connection;
mod copy;
mod database;
mod database_server;
mod duty;
mod email_change;
mod engine;
mod error;
mod failed_codes;
mod health;
mod inspection;
mod invite;
mod link_token;
mod loan;
mod mail_budget;
mod migration;
mod one_time_code;
mod options;
mod outbox;
mod password_failures;
mod postgres;
mod queue;
mod reader;
mod session;
mod settings;
mod signing_key;
mod sqlite;
mod transaction;
mod user;
mod value;

pub use audit::{AuditCount, AuditTally};
pub use audit_count::{AuditKind, KindCount, MAX_NAME_COUNTS};
pub use audit_filter::{AuditCursor, AuditFilter};
pub use connection::{ConnectionFlaw, NotConnected};
pub use copy::{
    CopyDirection, CopyOptions, CopyProgress, CopyStart, CopyStep, DatabaseCopy, TableDigest, copy_database,
};
pub use database::Store;
pub use database_server::{Connections, DatabaseRole, DatabaseServer, Standbys};
pub use duty::Duty;
pub use email_change::{EmailChangeRow, EmailUndoRow};
pub use error::{FromStore, OpenError, OpenFault, Result, StoreError};
pub use link_token::LinkRow;
pub use one_time_code::CountedCode;
pub use options::{Access, OpenOptions, TestHooks};
pub use outbox::MailTrouble;
#[doc(hidden)]
pub use postgres::{PostgresHooks, refused_statements};
pub use postgres::{create_database, find_key_check, is_served};
pub use reader::Reader;
pub use settings::Setting;
pub use signing_key::StoredSigningKey;
#[doc(hidden)]
pub use sqlite::SqliteHooks;
pub use sqlite::{Copied, Creation, LOCKS, Replacement, SqliteStore, StagedDatabase, remove_older};
pub use transaction::Tx;
pub use user::{Credentials, NewUserRow, UserFilter};
