//! What use cases share inside one change, one noun a file. Nothing here knows a use case.

pub(super) mod audit;
pub(super) mod mail;
mod settings;
mod unit;

pub use settings::{RuleSettings, SignInRules, Ways};
pub(super) use unit::{Rules, Unit};
