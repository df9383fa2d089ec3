//! The operations of the API, one file per noun. Each is described by a value beside its handler; a handler reads its fields, calls one method
//! of [`crate::service`] and writes the answer.

mod account;
mod captcha;
mod done;
mod email;
mod email_change;
mod fields;
mod health;
mod keys;
mod one_time_code;
mod own_limit;
mod password;
mod registration;
mod resolve;
mod session;
mod sign_in;
mod user;

use super::pipeline::Operation;

/// Every operation of the API, in the order of the document.
pub(super) static OPERATIONS: [&Operation; 34] = [
    &captcha::CAPTCHA_CONFIG,
    &registration::REGISTRATION_MODE,
    &registration::REGISTER,
    &sign_in::CHECK,
    &sign_in::LOGIN,
    &sign_in::REFRESH,
    &sign_in::LOGOUT,
    &one_time_code::SEND_CODE,
    &one_time_code::SIGN_IN_BY_CODE,
    &resolve::RESOLVE,
    &resolve::SEND_RESOLVED_CODE,
    &resolve::SIGN_IN_BY_RESOLVED_CODE,
    &email::SEND_VERIFICATION,
    &email::PREVIEW_VERIFICATION,
    &email::CONFIRM_VERIFICATION,
    &email::REJECT_VERIFICATION,
    &user::GET_ME,
    &user::UPDATE_ME,
    &password::CHANGE_PASSWORD,
    &password::SEND_RESET,
    &password::PREVIEW_RESET,
    &password::CONFIRM_RESET,
    &email_change::CHANGE_EMAIL,
    &email_change::PREVIEW_EMAIL_CHANGE,
    &email_change::CONFIRM_EMAIL_CHANGE,
    &email_change::UNDO_EMAIL_CHANGE,
    &account::EXPORT_ACCOUNT,
    &account::DELETE_ACCOUNT,
    &session::LIST_SESSIONS,
    &session::DELETE_SESSION,
    &session::DELETE_OTHER_SESSIONS,
    &keys::JWKS,
    &health::HEALTHZ,
    &health::READYZ,
];
