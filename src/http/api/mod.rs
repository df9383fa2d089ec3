//! The operations of the API, one file per noun.

pub(super) mod captcha;
pub(super) mod email;
pub(super) mod fields;
pub(super) mod health;
pub(super) mod keys;
pub(super) mod one_time_code;
pub(super) mod password;
pub(super) mod registration;
pub(super) mod session;
pub(super) mod sign_in;
pub(super) mod user;
