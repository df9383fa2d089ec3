//! Lets tests compare what both engines know.

use std::collections::BTreeSet;

use super::connection::{Connector, on_own_thread};
use crate::domain::DatabaseUrl;
use crate::store::OpenError;
use crate::store::audit::ADD_TO_TALLY;

/// Those of the `statements`, which SQLite ran, that the database at `url` refuses to prepare; each with the reason.
#[doc(hidden)]
pub fn refused_statements(
    url: &DatabaseUrl,
    statements: &BTreeSet<String>,
) -> Result<Vec<String>, OpenError> {
    let connector = Connector::of(url);
    on_own_thread(|| {
        let connection = connector.connect_first()?;
        let refused = statements.iter().filter_map(|sql| {
            let sql = if sql == ADD_TO_TALLY.sqlite {
                ADD_TO_TALLY.postgres
            } else {
                sql
            };
            let error = connection.prepare(sql).err()?;
            Some(format!("{error}: {sql}"))
        });
        Ok(refused.collect())
    })
}
