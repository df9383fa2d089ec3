//! The audit log: what happened, who did it, and why it was refused.
//!
//! The log has finer reasons than a client is told: it says whether the name or the password was wrong, the answer never does.

mod event;
mod reason;
mod record;

pub use event::{AuditEvent, AuditEvents};
pub use reason::{AuditOutcome, AuditReason};
pub use record::{Actor, AuditEntry, AuditRecord, AuditSubject, NameDigest, Operator};
