//! Finding damage in the database file.

use rusqlite::Connection;

use crate::store::Result;

/// Up to ten faults of the file or, if it has none, of the references between its rows. It reads the whole file.
pub(super) fn list_faults(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut faults = Vec::new();
    for fault in found {
        match fault {
            Ok(fault) => faults.push(fault),
            // After SQLite has reported a broken page, it may fail to read that page.
            Err(_) if !faults.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    faults.retain(|fault| fault != "ok");
    if !faults.is_empty() {
        // Reading the rows of a damaged file fails, and the error would hide these faults.
        return Ok(faults);
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let orphans = statement.query_map([], |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(format!(
            "a row of {table} belongs to one of {parent} that is gone"
        ))
    })?;
    Ok(orphans.take(10).collect::<Result<_, _>>()?)
}
