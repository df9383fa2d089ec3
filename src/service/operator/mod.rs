//! Use cases that only the command line has.

mod audit;
mod explanation;
mod inspection;
mod mail;

pub use audit::{AuditPage, AuditPart, AuditQuery};
pub use explanation::{Explained, Explanation, Wait};
pub use inspection::{AmbiguousUsername, Inspection, TakenFor};
