//! The work that keeps a server and its database going: the outbox worker, sweeping, metrics, backups, and the changes that a restored or re-keyed database
//! needs.

mod backup;
mod counted;
mod metrics;
mod outbox;
mod rekey;
mod restore;
mod sweep;
mod watch;

pub(super) use counted::Counted;

pub use backup::{Backup, BackupDestination, BackupStep, open_staged};
pub use rekey::{replace_lost_key, seal_anew};
pub use restore::{Ended, end_live_state};
pub use sweep::KEEP_ENDED_SESSIONS;
