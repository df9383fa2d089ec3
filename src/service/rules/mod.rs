//! The steps that use cases share inside one change, one file per noun. Nothing here depends on a use case.

mod account;
pub(super) mod audit;
mod code;
mod email_change;
mod guesses;
mod invite;
mod link;
mod links;
pub(super) mod mail;
mod mail_budget;
mod refresh_cookies;
mod session;
mod settings;
pub(super) mod signing_key;
mod unit;
mod user_ref;

pub use guesses::FailedCodes;
pub use invite::{ModeSource, PresentedInvite};
pub use link::PasswordLink;
pub use links::Links;
pub(super) use mail_budget::kind_of;
pub use session::Caller;
pub use settings::{RuleSettings, SignInRules};
pub use signing_key::AlgorithmChange;
pub use user_ref::UserRef;

pub(super) use email_change::AddressHolder;
pub(super) use invite::{open_code, seal_code};
pub(super) use link::{link_row, unknown_link, why_unusable};
pub(super) use refresh_cookies::{PresentedSession, parse_cookies, two_accounts};
pub(super) use session::{OpenSession, Refreshed};
pub(super) use unit::{Rules, Unit};
