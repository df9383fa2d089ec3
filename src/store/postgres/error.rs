//! What an error of PostgreSQL means for a query, a change, or the opening of a database.

use std::error::Error as _;
use std::io;

use postgres::Error;
use postgres::error::{DbError, Severity, SqlState};

use crate::store::{ConnectionFlaw, NotConnected, StoreError};
use crate::tls::{TlsFailure, TlsProblem};

/// The texts of errors of the client whose causes are texts about the connection. Other causes may repeat values.
const ABOUT_CONNECTION: [&str; 3] = [
    "invalid configuration",
    "authentication error",
    "error performing TLS handshake",
];

/// The text of an error. It has no detail, because a detail repeats values of the row.
pub(super) fn text_of(error: &Error) -> String {
    if let Some(refused) = error.as_db_error() {
        return format!("{} ({})", refused.message(), refused.code().code());
    }
    let text = error.to_string();
    if let Some(failure) = tls_failure(error) {
        return failure.to_string();
    }
    match error.source() {
        Some(cause) if cause.is::<io::Error>() || ABOUT_CONNECTION.contains(&&*text) => {
            format!("{text}: {cause}")
        }
        _ => text,
    }
}

fn tls_failure(error: &Error) -> Option<TlsFailure> {
    let cause: &io::Error = error.source()?.downcast_ref()?;
    TlsFailure::of_io(cause)
}

/// Why there is no connection to `host`.
pub(super) fn not_connected(host: &str, error: &Error) -> NotConnected {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let (reason, flaw) = match &*cause {
        "password missing" => (
            "it asks for a password, and there is none".to_owned(),
            ConnectionFlaw::Login,
        ),
        "server does not support TLS" => ("it does not offer TLS".to_owned(), ConnectionFlaw::NoTls),
        "database does not allow writes" => (
            "it takes no writes: it is a standby, or default_transaction_read_only is on".to_owned(),
            ConnectionFlaw::ReadOnly,
        ),
        _ => (text_of(error), flaw_of(error)),
    };
    NotConnected::new(format!("{host}: {reason}"), flaw)
}

fn flaw_of(error: &Error) -> ConnectionFlaw {
    if let Some(failure) = tls_failure(error) {
        return match failure.problem {
            TlsProblem::Issuer => ConnectionFlaw::Issuer,
            TlsProblem::Name => ConnectionFlaw::Host,
            TlsProblem::NotTls => ConnectionFlaw::NoTls,
            TlsProblem::Purpose | TlsProblem::Dates | TlsProblem::Other => ConnectionFlaw::Certificate,
        };
    }
    let text = error.to_string();
    match error.code().map(|code| code.code().get(..2).unwrap_or_default()) {
        // Invalid authorization, and no such database.
        Some("28" | "3D") => ConnectionFlaw::Login,
        Some(_) => ConnectionFlaw::Other,
        None if text == ABOUT_CONNECTION[1] => ConnectionFlaw::Login,
        None => ConnectionFlaw::Network,
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = text_of(&error);
        match error.code() {
            // The connection is broken, or was never there.
            None => Self::Unavailable(text),
            Some(code) if may_pass(code) || ends_connection(&error) => Self::Unavailable(text),
            Some(_) => Self::Failed(text),
        }
    }
}

/// Whether the server ends the connection with this error, as when it stops.
pub(super) fn ends_connection(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Whether the caller may try again (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn may_pass(code: &SqlState) -> bool {
    // Connection exceptions, rolled back transactions, too few resources, intervention of an operator, system errors.
    let classes = ["08", "40", "53", "57", "58"];
    let class = code.code().get(..2).unwrap_or_default();
    classes.contains(&class)
        || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE].contains(code)
}
