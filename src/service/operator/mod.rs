//! Use cases that only the command line has.

mod audit;
mod explanation;
mod inspection;
mod invite;
mod mail;
mod registration;
mod session;
mod signing_key;
mod user;

pub use audit::{AuditPage, AuditPart, AuditQuery};
pub use explanation::{Explained, Explanation, Wait};
pub use inspection::{Inspection, Lookalike};
pub use invite::{InviteDraft, InviteRef, InviteWithCode};
pub use signing_key::{KeyRotation, SigningKeyStage, SigningKeyState};
pub use user::{NewUser, UserSummary};
