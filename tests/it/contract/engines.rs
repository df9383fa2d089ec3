//! Both engines have the same tables and columns, and know the same statements. `whole_run.rs` checks the statements of all tests.

use std::collections::BTreeSet;

use arkloop::service::UserRef;
use rusqlite::Connection;

use super::plans::{join, list_in_parts, sign_in, use_sessions};
use crate::support::postgres::TestDatabase;
use crate::support::smtp::SmtpServer;
use crate::support::{Engine, PASSWORD, TestApp, Workspace, refused_by_postgres, scans_on_postgres};

/// A column: its table, its name, its type in PostgreSQL, and whether it may be NULL.
type Column = (String, String, String, bool);

fn columns_of_sqlite() -> BTreeSet<Column> {
    let workspace = Workspace::with_database_file();
    let database = Connection::open(workspace.path().join("data/arkloop.db")).expect("it opens");
    let sql = "SELECT tables.name, columns.name,
                CASE columns.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' ELSE lower(columns.type) END,
                columns.\"notnull\" = 0 AND columns.pk = 0
         FROM sqlite_schema AS tables, pragma_table_xinfo(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'";
    let mut statement = database.prepare(sql).expect("SQLite knows it");
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    columns
        .expect("it runs")
        .collect::<Result<_, _>>()
        .expect("it has rows")
}

fn columns_of_postgres(database: &TestDatabase) -> BTreeSet<Column> {
    let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES'
         FROM information_schema.columns WHERE table_schema = 'public'";
    database.with(|client| {
        let rows = client.query(sql, &[]).expect("it runs");
        let column = |row: &postgres::Row| (row.get(0), row.get(1), row.get(2), row.get(3));
        rows.iter().map(column).collect()
    })
}

#[test]
fn the_migrations_of_both_engines_end_in_the_same_columns() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    assert_eq!(columns_of_postgres(&database), columns_of_sqlite());
}

#[tokio::test]
async fn a_test_has_its_database_on_the_engine_of_the_run() {
    let app = TestApp::open().await;
    app.register("alice").await;
    assert_eq!(app.workspace().engine(), Engine::of_run());
    assert_eq!(app.count("SELECT count(*) FROM users"), 1);
    let is_file = app.data_dir().join("arkloop.db").exists();
    assert_eq!(is_file, Engine::of_run() == Engine::Sqlite);
    let listed = app.workspace().json(&["user", "list"]);
    assert_eq!(listed[0]["username"], "alice");
}

#[tokio::test]
async fn postgresql_knows_what_a_server_asks() {
    let app = TestApp::builder().of_sqlite().open().start().await;
    app.register("alice").await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    let token = app.refresh(&cookie).await.access_token();
    assert_eq!(app.me(&token).await.status, 200);
    assert_eq!(app.login("nobody", "a noisy harbour").await.status, 401);
    app.service().flush_audit().await.expect("it is written");
    app.service().sweep().await.expect("it is swept");
    let refused = refused_by_postgres(&app.store_probe().statements());
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_on_postgresql_what_it_does_all_day() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let smtp = SmtpServer::start();
    let builder = TestApp::builder()
        .smtp(&smtp)
        .set("DATABASE__URL", &database.url());
    let mut app = builder.start().await;
    join(&app, &smtp).await;
    sign_in(&app, &smtp).await;
    use_sessions(&app).await;
    let alicia = UserRef::parse("alicia");
    let service = app.service();
    service.sweep().await.expect("it is swept");
    service.flush_audit().await.expect("it is written");
    service.inspect().await.expect("it is inspected");
    list_in_parts(&app, &alicia).await;
    let scans = scans_on_postgres(&app.store_probe().statements());
    assert!(scans.is_empty(), "these read a whole table: {scans:#?}");
    app.restart().await;
    let cookie = app.login("alicia", PASSWORD).await.cookie();
    let token = app.refresh(&cookie).await.access_token();
    assert_eq!(app.me(&token).await.status, 200);
    app.service()
        .delete_user(alicia)
        .await
        .expect("the account exists");
    assert_eq!(app.me(&token).await.status, 401);
}
