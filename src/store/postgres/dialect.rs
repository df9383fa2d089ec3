//! Turns the text of a statement into what PostgreSQL reads. The statements keep to what both engines know, so little differs.

/// The hint that names an index for SQLite. PostgreSQL has no hints.
const HINT: &str = " INDEXED BY ";

/// The statement with parameters as PostgreSQL writes them (`$1` for `?1`), and without hints. No text in a statement contains a question mark.
pub(super) fn translated(sql: &str) -> String {
    let mut text = sql.replace('?', "$");
    while let Some(at) = text.find(HINT) {
        let name = at + HINT.len();
        let end = text[name..]
            .find(char::is_whitespace)
            .map_or(text.len(), |length| name + length);
        text.replace_range(at..end, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_hints_are_translated() {
        let sql = "SELECT 1 FROM outbox INDEXED BY outbox_by_due WHERE a > ?1 AND b IN (?12, ?2)";
        let text = "SELECT 1 FROM outbox WHERE a > $1 AND b IN ($12, $2)";
        assert_eq!(translated(sql), text);
        assert_eq!(translated("SELECT 1 FROM t INDEXED BY i"), "SELECT 1 FROM t");
    }
}
