//! The statements that a request runs: their number is most of what a request costs the database.

use insta::assert_snapshot;

use super::layering::sources_of_src;
use crate::support::{PASSWORD, TestApp, one_line, shortened};

/// What only SQLite understands, or means in another way than PostgreSQL.
const OF_SQLITE: [&str; 14] = [
    " GLOB ",
    " INDEXED BY ",
    "glob(",
    "iif(",
    "instr(",
    "ifnull(",
    "printf(",
    "unhex(",
    " IS ?",
    " IS NOT ?",
    " rowid",
    "x'",
    "LIMIT -1",
    "PRAGMA ",
];
/// Parts of statements that need another form for PostgreSQL.
const OF_SQLITE_ALONE: [&str; 3] = [
    "ON CONFLICT (window_at, event, ifnull(",
    "INDEXED BY outbox_by_due",
    "INDEXED BY one_time_codes_by_end",
];

/// The statements that `work` runs, numbered.
async fn course(app: &TestApp, work: impl Future) -> String {
    app.store_probe().record_course();
    work.await;
    let course = app.store_probe().take_course();
    let numbered = course.iter().enumerate();
    let lines: Vec<String> = numbered
        .map(|(index, sql)| format!("{} {}", index + 1, shortened(&one_line(sql))))
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_refresh_and_a_sign_in_run_these_statements() {
    let app = TestApp::builder().of_sqlite().open().start().await;
    let cookie = app.register("alice").await.cookie();
    let refresh = course(&app, async {
        assert_eq!(app.refresh(&cookie).await.status, 200);
    });
    assert_snapshot!(refresh.await, @r"
    1 SELECT … FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1
    2 BEGIN IMMEDIATE
    3 PRAGMA data_version
    4 SELECT … FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1
    5 UPDATE sessions … WHERE id = ?1 AND generation = ?2 AND presented IS NOT DISTINCT FROM ?3 AND nonce = ?4 AND ended_at IS NULL
    6 COMMIT
    ");
    let sign_in = course(&app, async {
        assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    });
    assert_snapshot!(sign_in.await, @r"
    1 SELECT … FROM users WHERE username_key = ?1
    2 SELECT … FROM password_failures WHERE guessed = ?1 AND network IN (?2, ?3, ?4)
    3 SELECT … FROM password_costs ORDER BY cost
    4 BEGIN IMMEDIATE
    5 PRAGMA data_version
    6 SAVEPOINT attempt
    7 SELECT … FROM password_failures WHERE guessed = ?1 AND network IN (?2, ?3, ?4)
    8 SELECT … FROM users WHERE id = ?1 AND password_hash = ?2
    9 UPDATE sessions … WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL ORDER BY expires_at > ?3 DESC, last_used_at DESC, id DESC LIMIT ?6 OFFSET ?2)
    10 INSERT INTO sessions
    11 UPDATE users … WHERE id = ?1
    12 DELETE FROM password_failures WHERE guessed = ?1
    13 UPDATE one_time_codes … WHERE address_digest = ?1
    14 RELEASE attempt
    15 INSERT INTO audit_events
    16 COMMIT
    ");
}

#[test]
fn statements_keep_to_what_both_engines_know() {
    let mut found = Vec::new();
    for (file, text) in sources_of_src() {
        let is_of_engine = ["store/sqlite/", "store/postgres/"]
            .iter()
            .any(|room| file.starts_with(room));
        if !file.starts_with("store/") || is_of_engine {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for line in code
            .lines()
            .filter(|line| !OF_SQLITE_ALONE.iter().any(|form| line.contains(form)))
        {
            let words = OF_SQLITE.iter().filter(|word| line.contains(**word));
            found.extend(words.map(|word| format!("{file}: {word:?} in {}", line.trim())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
