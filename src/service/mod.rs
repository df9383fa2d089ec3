//! The rules of this server: one method a use case, called alike by HTTP and by the command line.
//!
//! One file a noun, as everywhere. Nothing here knows HTTP, SQL or a terminal.

mod asked_mail;
mod captcha;
mod email;
mod error;
mod guess;
mod one_time_code;
mod operator;
mod parts;
mod password;
mod refresh;
mod registration;
mod rules;
mod session;
mod sign_in;
mod signing_key;
mod tokens;
mod upkeep;
mod user;

pub use crate::mail::Medium;
pub use crate::store::UserFilter;
pub use email::PendingVerification;
pub use error::Error;
pub use operator::{
    AmbiguousUsername, AuditPage, AuditPart, AuditQuery, CreatedUser, Explained, Explanation, Inspection,
    InviteDraft, InviteRef, InviteWithCode, NewUser, TakenFor, UserSummary, Wait, WhichInvites,
};
pub use parts::{Parts, Service};
pub use password::RECENT_SIGN_IN;
pub use refresh::RefreshCookies;
pub use registration::{Registered, Registration};
pub use rules::{
    Caller, FailedCodes, LinkMail, Links, ModeSource, PasswordLink, PresentedInvite, RuleSettings,
    SignInRules, UserRef, Ways,
};
pub use signing_key::{AlgorithmChange, Rotation, SigningKeyStage, SigningKeyState, load_keyring};
pub use tokens::{RefreshCookie, SignedIn};
pub use upkeep::{
    Backup, BackupDestination, Ended, KEEP_ENDED_SESSIONS, end_what_was_live, go_on_without_key, open_staged,
    seal_anew,
};
pub use user::{Change, ProfileChange};
