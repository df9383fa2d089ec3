//! The audit log: what happened, who did it, and why it was refused.
//!
//! The log has finer reasons than the answers to clients: it says whether the name or the password was wrong, and an answer never does.

mod event;
mod reason;
mod record;

pub use event::{AuditEvent, AuditEvents};
pub use reason::AuditReason;
pub use record::{Actor, AuditEntry, AuditRecord, AuditSubject, NameDigest, Operator};
