//! What an error of PostgreSQL means for a query, a change, or the opening of a database.

use postgres::Error;
use postgres::error::SqlState;

use crate::store::StoreError;

/// The text of an error. It has no detail, because a detail repeats values of the row.
pub(super) fn text_of(error: &Error) -> String {
    match error.as_db_error() {
        Some(refused) => format!("{} ({})", refused.message(), refused.code().code()),
        None => error.to_string(),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = text_of(&error);
        match error.code() {
            // The connection is broken, or was never there.
            None => Self::Unavailable(text),
            Some(code) if may_pass(code) => Self::Unavailable(text),
            Some(_) => Self::Failed(text),
        }
    }
}

/// Whether the caller may try again (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn may_pass(code: &SqlState) -> bool {
    // Connection exceptions, rolled back transactions, too few resources, intervention of an operator, system errors.
    let classes = ["08", "40", "53", "57", "58"];
    let class = code.code().get(..2).unwrap_or_default();
    classes.contains(&class)
        || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE].contains(code)
}
