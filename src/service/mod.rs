//! The rules of this server: one method a use case, called alike by HTTP and by the command line.
//!
//! One file a noun, as everywhere. Nothing here knows HTTP, SQL or a terminal.

mod captcha;
mod email;
mod error;
mod gate;
mod invite;
mod links;
mod one_time_code;
mod operator;
mod parts;
mod password;
mod password_failures;
mod password_link;
mod presented;
mod registration;
mod rules;
mod session;
mod sign_in;
mod signing_key;
mod spray_brake;
mod upkeep;
mod user;
mod watch;

pub use crate::mail::Medium;
pub use crate::store::UserFilter;
pub use email::PendingVerification;
pub use error::Error;
pub use invite::{InviteDraft, InviteRef, InviteWithCode, WhichInvites};
pub use links::Links;
pub use operator::{
    AmbiguousUsername, AuditPage, AuditPart, AuditQuery, Explained, Explanation, Inspection, TakenFor, Wait,
};
pub use parts::{Parts, Service};
pub use password::RECENT_SIGN_IN;
pub use password_link::{LinkMail, PasswordLink};
pub use presented::RefreshCookies;
pub use registration::{ModeSource, PresentedInvite, Registered, Registration};
pub use rules::{RuleSettings, SignInRules, Ways};
pub use session::Caller;
pub use sign_in::{RefreshCookie, SignedIn};
pub use signing_key::{AlgorithmChange, Rotation, SigningKeyStage, SigningKeyState, load_keyring};
pub use spray_brake::FailedCodes;
pub use upkeep::{
    Backup, BackupDestination, Ended, KEEP_ENDED_SESSIONS, end_what_was_live, go_on_without_key, open_staged,
    seal_anew,
};
pub use user::{Change, CreatedUser, NewUser, ProfileChange, UserRef, UserSummary};
