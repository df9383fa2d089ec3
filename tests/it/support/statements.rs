//! The statements that servers sent to their databases, and the query plan of each.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::Workspace;
use super::record::{Seen, record};
use super::store_probe::StoreProbe;

/// Statements that may read a whole table or index: a part of the text, and why. All others must find their rows by an index.
const MAY_SCAN: &[(&str, &str)] = &[
    ("signing_keys", "there are a handful"),
    (
        "FROM password_costs",
        "one for each cost that was ever configured",
    ),
    (
        "FROM audit_events ORDER BY id LIMIT ?2",
        "the oldest rows, so many of them",
    ),
    (
        "WITH wanted (user_id) AS",
        "the operator reads the audit log, on a connection for reports",
    ),
    (
        "FROM outbox WHERE expires_at > ?1 ORDER BY id",
        "the operator lists the outbox, or the key file is replaced",
    ),
    (
        "UPDATE outbox SET next_attempt_at = ?1, is_refused = 0",
        "the operator has all mail tried again",
    ),
    (
        "UPDATE invites SET revoked_at = ?1 WHERE",
        "all invites are taken back at once",
    ),
    (
        "SELECT user_id FROM sessions GROUP BY user_id",
        "the hourly sweep, on a connection for reports",
    ),
    (
        "SELECT (SELECT count(*) FROM users) AS users",
        "figures, on a connection for reports",
    ),
    (
        "SELECT max(at) FROM (SELECT max(last_used_at)",
        "the operator checks the clock",
    ),
    (
        "is_refused, count(*) AS mails FROM outbox WHERE attempts > 0",
        "the operator checks the outbox",
    ),
    (
        "SELECT min(created_at) FROM users",
        "the operator checks for backups",
    ),
    (
        "SELECT count(*) FROM users",
        "the accounts of a backup are counted",
    ),
];

/// Records the statements of a server when it is dropped.
pub struct Watched(pub StoreProbe);

impl Drop for Watched {
    fn drop(&mut self) {
        for statement in self.0.statements() {
            record(Seen::Statement(statement));
        }
    }
}

/// The `statements` that read a whole table or index although they may not, with their plans.
pub fn scans(statements: &BTreeSet<String>) -> Vec<String> {
    let workspace = Workspace::with_database();
    let database = Connection::open(workspace.path().join("data/arkloop.db")).expect("the database opens");
    let may_scan = |sql: &str| {
        let sql = one_line(sql);
        MAY_SCAN.iter().any(|(part, _)| sql.contains(part))
    };
    let asked = statements.iter().filter(|sql| has_plan(sql) && !may_scan(sql));
    let planned = asked.map(|sql| (one_line(sql), plan(&database, sql)));
    let scanning = planned.filter(|(_, plan)| plan.iter().any(|step| is_scan(step)));
    scanning.map(|(sql, plan)| format!("{sql}: {plan:?}")).collect()
}

/// Whether SQLite has a query plan for a statement.
fn has_plan(sql: &str) -> bool {
    let verb = sql.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&verb)
}

fn plan(database: &Connection, sql: &str) -> Vec<String> {
    let explain = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
    let mut explain = explain.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let steps = explain
        .raw_query()
        .mapped(|row| row.get("detail"))
        .collect::<Result<_, _>>();
    steps.expect("a plan is text")
}

/// Whether a step reads all rows of a table. A scan of an intermediate result of the statement does not count.
fn is_scan(step: &str) -> bool {
    step.strip_prefix("SCAN ")
        .is_some_and(|what| what != "CONSTANT ROW" && !what.starts_with('('))
}

/// The text with single spaces between words.
pub fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}
