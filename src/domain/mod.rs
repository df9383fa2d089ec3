//! Types that are validated when they are parsed, and pure functions of them.
//!
//! Nothing here does I/O, reads a clock or contains SQL. Other modules trust these values without validating them again.

mod account_name;
mod audit;
mod client;
mod database_url;
mod duration;
mod email_change;
mod field;
mod flow_token;
mod hash_cost;
mod id;
mod invite;
mod key;
mod language;
mod limit;
mod link_token;
mod log_format;
mod logo;
mod mail;
mod mail_budget;
mod network;
mod newtype;
mod one_time_code;
mod origin;
mod page;
mod password;
mod password_failures;
#[cfg(test)]
pub(crate) mod properties;
mod registration;
mod rotation;
mod sealed;
mod service_name;
mod session;
mod shown;
mod signature;
mod smtp;
mod time;
mod trace;
mod turnstile;
mod typed;
mod user;

pub use account_name::{AccountName, UnusableName};
pub use audit::{
    Actor, AuditEntry, AuditEvent, AuditEvents, AuditReason, AuditRecord, AuditSubject, NameDigest, Operator,
};
pub use client::{Client, MAX_USER_AGENT_BYTES};
pub use database_url::{
    DatabaseAuthorities, DatabaseChannelBinding, DatabaseHost, DatabasePlace, DatabaseSession, DatabaseTls,
    DatabaseUrl, DatabaseUrlError,
};
pub use duration::{format_duration, in_words, parse_duration};
pub use email_change::{FORMER_ADDRESS_TTL, LeftAddress, MIN_HELD};
pub use field::{FieldError, FieldErrors};
pub use flow_token::{FLOW_TTL, Flow, FlowToken};
pub use hash_cost::{Argon2Cost, HashImplementation};
pub use id::{InviteId, MailId, SessionId, UserId};
pub use invite::{Invite, InviteCode, InviteDigest, InviteStatus, InviteUses, Note};
pub use key::KeyFingerprint;
pub use language::{Language, Locale};
pub use limit::{Limit, LimitClass, LimitClassTable, Rate, Rates};
pub use link_token::{LinkDigest, LinkPurpose, LinkTemplates, LinkToken};
pub use log_format::LogFormat;
pub use logo::{Logo, LogoFlaw, LogoFormat};
pub use mail::{
    Attempts, Letter, LinkOccasion, MailKind, MailStatus, MailTransport, QueuedMail, RemovalOccasion,
};
pub use mail_budget::{MailBudget, MailPurpose};
pub use network::{Listen, SameSite, TrustedProxies, network_of, site_of};
pub(crate) use newtype::{checked_text, redacted};
pub use one_time_code::{
    AddressDigest, CODE_LOCK, CODE_TTL, CodeFailures, CodeMac, DomainDigest, FailedCode, MAX_CODE_ATTEMPTS,
    MAX_CODE_FAILURES, MAX_ROWS_WITHOUT_ACCOUNT, OneTimeCode,
};
pub use origin::{is_exact_host, is_this_machine, parse_app_origin};
pub use page::{More, Page, Paging};
pub use password::{
    MAX_PASSWORD_BYTES, MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, Password, PasswordGuess, PasswordHash,
};
pub use password_failures::{
    ACQUAINTED_FOR, Acquaintance, FailureDigest, FailureKey, FailureKind, FailureLimits, FailureRun,
    FailureRuns, Guessed, MAX_FAILURE_ROWS,
};
pub use registration::RegistrationMode;
pub use rotation::{Generation, MAX_REMEMBERED_ROTATIONS, RefreshRules, RefreshVerdict, Rotation};
pub use sealed::Sealed;
pub use service_name::ServiceName;
pub use session::{Session, SessionEnd, SessionNonce, SessionRules, SignInMethod};
pub use shown::{is_unprintable, printable, printable_json};
pub use signature::SignatureAlgorithm;
pub use smtp::{HeloName, SmtpSecurity, SmtpUrl};
pub use time::Timestamp;
pub use trace::TraceId;
pub use turnstile::TurnstileSettings;
pub use typed::trimmed;
pub use user::{Email, Timezone, User, UserStatus, Username};
