//! Joins the parts: configuration, key file, database and service. No other module knows all of them.

mod capacity;
mod check;
mod copy;
mod data_dir;
mod error;
mod first_start;
mod listener;
mod logo;
mod mailing;
mod memory;
mod open;
mod parts;
mod rekey;
mod replacement;
mod restore;
mod role;
mod served;
mod servers;

pub use capacity::Capacity;
pub use check::{Finding, State, check};
pub use copy::{CopyDirection, CopyProgress, CopyStart, CopyStep, DatabaseCopy, copy};
pub use error::OpenError;
pub use first_start::{Origin, lacks_database};
pub use listener::{ANSWER_TIMEOUT, ask, listener, record_server};
pub use logo::{LogoError, read_logo};
pub use open::{App, FLUSH_EVERY};
pub use parts::http_settings;
pub use rekey::{NewKey, confirm_key_lost, rekey, reset_key};
pub use restore::{
    EndedAfterRestore, Restored, confirm_not_served, end_after_restore, is_replaceable, restore,
};
pub use role::Role;
