//! The statements that servers sent to their databases, and the query plan of each.

use std::collections::{BTreeMap, BTreeSet};

use arkloop::store::refused_statements;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::Workspace;
use super::database::Engine;
use super::postgres::TestDatabase;
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
        "SELECT (SELECT count(*) FROM users) AS users",
        "figures, on a connection for reports",
    ),
    (
        "SELECT count(*) AS waiting, count(nullif(attempts, 0)) AS failing",
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
pub struct Watched(pub Engine, pub StoreProbe);

impl Drop for Watched {
    fn drop(&mut self) {
        for statement in self.1.statements() {
            record(Seen::Statement(self.0, statement));
        }
    }
}

/// What SQLite knows of the sizes of tables when it plans a statement. Nothing else tells it: without statistics a large table is planned like an empty one.
#[derive(Clone, Copy, Debug)]
pub enum Statistics {
    /// `ANALYZE` has never run. The program does not run it.
    Absent,
    /// An operator ran `ANALYZE` on a young database: three rows in each table.
    OfFewRows,
    /// An operator ran `ANALYZE` on a grown database: a million rows in each table. The first column of an index has a thousand equal values, and its
    /// other columns make a row unique.
    OfManyRows,
}

impl Statistics {
    pub const ALL: [Self; 3] = [Self::Absent, Self::OfFewRows, Self::OfManyRows];

    /// The statistics of an index with so many columns: the number of rows, then for each column the number of rows with equal values up to there.
    fn of_index(self, columns: usize) -> Option<String> {
        let numbers = match self {
            Self::Absent => return None,
            Self::OfFewRows => [vec![3], vec![1; columns]].concat(),
            Self::OfManyRows if columns < 2 => vec![1_000_000, 1],
            Self::OfManyRows => [vec![1_000_000, 1_000], vec![1; columns - 1]].concat(),
        };
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        Some(numbers.join(" "))
    }
}

/// Plans statements on a database with the present schema, like a server's connection.
pub struct Planner {
    database: Connection,
    _workspace: Workspace,
}

impl Planner {
    pub fn new(statistics: Statistics) -> Self {
        let workspace = Workspace::with_database_file();
        let path = workspace.path().join("data/arkloop.db");
        let database = Connection::open(path).expect("the database opens");
        database
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .expect("SQLite knows this setting");
        let planner = Self {
            database,
            _workspace: workspace,
        };
        planner.write(statistics).expect("the statistics are written");
        planner
    }

    /// Puts `statistics` in the place of what `ANALYZE` finds, and has them read.
    fn write(&self, statistics: Statistics) -> rusqlite::Result<()> {
        if matches!(statistics, Statistics::Absent) {
            return Ok(());
        }
        self.database.execute_batch("ANALYZE; DELETE FROM sqlite_stat1")?;
        // The statistics of a primary key WITHOUT ROWID have the name of the table.
        let indexes = "SELECT tables.name, iif(indexes.origin = 'pk', tables.name, indexes.name),
                    (SELECT count(*) FROM pragma_index_info(indexes.name))
             FROM sqlite_schema AS tables, pragma_index_list(tables.name) AS indexes
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'";
        let mut indexes = self.database.prepare(indexes)?;
        let mut indexes = indexes.query([])?;
        while let Some(row) = indexes.next()? {
            let (table, index): (String, String) = (row.get(0)?, row.get(1)?);
            let values = (table, index, statistics.of_index(row.get(2)?));
            let insert = "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)";
            self.database.execute(insert, values)?;
        }
        self.database.execute_batch("ANALYZE sqlite_schema")
    }

    /// The `statements` that have a plan, each in one line, with the steps of its plan.
    pub fn plans(&self, statements: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
        let planned = statements.iter().filter(|sql| has_plan(sql));
        planned.map(|sql| (one_line(sql), self.plan(sql))).collect()
    }

    fn plan(&self, sql: &str) -> Vec<String> {
        let explain = self.database.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        let mut explain = explain.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let steps = explain
            .raw_query()
            .mapped(|row| row.get("detail"))
            .collect::<Result<_, _>>();
        steps.expect("a plan is text")
    }
}

/// The `statements` that read a whole table or index although they may not, with their plans.
pub fn scans(statements: &BTreeSet<String>, statistics: Statistics) -> Vec<String> {
    let planned = Planner::new(statistics).plans(statements).into_iter();
    let scanning =
        planned.filter(|(sql, plan)| !may_scan(sql) && plan.iter().any(|step| is_scan(step, plan)));
    scanning
        .map(|(sql, plan)| format!("{statistics:?}: {sql}: {plan:?}"))
        .collect()
}

/// Those of the `statements` about rows that PostgreSQL does not know, if the tests have a server of it.
pub fn refused_by_postgres(statements: &BTreeSet<String>) -> Vec<String> {
    let Some(database) = TestDatabase::migrated() else {
        return Vec::new();
    };
    let about_rows = statements.iter().filter(|sql| has_plan(sql)).cloned().collect();
    refused_statements(&database.parsed_url(), &about_rows).expect("it can be asked")
}

/// Whether a statement, in one line, may read a whole table or index.
pub fn may_scan(sql: &str) -> bool {
    MAY_SCAN.iter().any(|(part, _)| sql.contains(part))
}

/// Whether a statement has a query plan.
pub fn has_plan(sql: &str) -> bool {
    let verb = sql.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&verb)
}

/// Whether a step of `plan` reads all rows of a table. A scan of an intermediate result of the statement does not count.
fn is_scan(step: &str, plan: &[String]) -> bool {
    let is_intermediate = |what: &str| {
        let steps = [format!("CO-ROUTINE {what}"), format!("MATERIALIZE {what}")];
        what == "CONSTANT ROW" || what.starts_with('(') || steps.iter().any(|step| plan.contains(step))
    };
    step.strip_prefix("SCAN ")
        .is_some_and(|what| !is_intermediate(what))
}

/// The text with single spaces between words.
pub fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A statement without its list of columns and values.
pub fn shortened(sql: &str) -> String {
    let (start, end) = match sql.split_whitespace().next() {
        Some("SELECT") => (" ", " FROM "),
        Some("UPDATE") => (" SET ", " WHERE "),
        Some("INSERT") => return sql.split(" (").next().unwrap_or_default().to_owned(),
        _ => return sql.to_owned(),
    };
    match (sql.split_once(start), sql.split_once(end)) {
        (Some((before, _)), Some((_, after))) => format!("{before} …{end}{after}"),
        _ => sql.to_owned(),
    }
}
