//! The use cases of this server: one method each, which HTTP and the command line both call. Nothing here knows HTTP, SQL or a terminal.
//!
//! - A use case checks, hashes, and makes one change: [`Service`] opens a transaction for it and gives it a unit of work.
//! - `rules` holds the steps that use cases share inside a change, one file per noun: where an invite is spent, what a new password entails, what a reused
//!   refresh token does. It does not depend on use cases.
//! - `operator` has the use cases of the command line, `upkeep` the work that keeps a server and its database going.

mod account;
mod asked_mail;
mod audit;
mod captcha;
mod current_keyring;
mod email;
mod email_change;
mod error;
mod keyring;
mod one_time_code;
mod operator;
mod parts;
mod password;
mod presence;
mod refresh;
mod registration;
mod resolve;
mod rules;
mod session;
mod sign_in;
mod tokens;
mod upkeep;
mod user;

pub use crate::store::{Copied, UserFilter};
pub use account::{AccountExport, CookieFate, OwnEvent};
pub use email::PendingVerification;
pub use email_change::{PendingChange, PendingChangeKind, Proof};
pub use error::Error;
pub use keyring::load_keyring;
pub use operator::{
    AuditPage, AuditPart, AuditQuery, Explained, Explanation, Inspection, InviteDraft, InviteRef,
    InviteWithCode, KeyRotation, Lookalike, NewUser, SigningKeyStage, SigningKeyState, UserSummary, Wait,
};
pub use parts::{Parts, Service};
pub use presence::{Presence, RECENT_SIGN_IN};
pub use refresh::RefreshCookies;
pub use registration::{Registered, Registration};
pub use resolve::Resolved;
pub use rules::{
    AlgorithmChange, Caller, FailedCodes, Links, ModeSource, PasswordLink, PresentedInvite, RuleSettings,
    SignInRules, UserRef,
};
pub use tokens::{RefreshCookie, SignedIn};
pub use upkeep::{
    Backup, BackupDestination, BackupStep, Ended, KEEP_ENDED_SESSIONS, end_live_state, open_staged,
    replace_lost_key, seal_anew,
};
pub use user::ProfileChange;
