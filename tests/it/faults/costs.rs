//! After a change of the hash cost, the work of a sign-in does not tell which names have an account. Work is counted, since a clock is not exact enough.

use std::collections::{BTreeMap, BTreeSet};

use arkloop::domain::{MIN_PASSWORD_CHARS, Password};
use arkloop::service::UserRef;
use rusqlite::Connection;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, Workspace, old_database};

/// A server without limits on guesses.
async fn unlimited() -> TestApp {
    let builder = TestApp::builder().open();
    builder.set("RATE_LIMIT__ENABLED", "false").start().await
}

/// The work of a refused sign-in.
async fn work(app: &TestApp, login: &str) -> u64 {
    let before = app.service().blocks_filled();
    assert_eq!(app.login(login, "a wrong password").await.status, 401, "{login}");
    app.service().blocks_filled() - before
}

/// How many of 200 names without an account have each cost. Asserts that every spelling of a name has the same cost.
async fn works_of_nobody(app: &TestApp) -> BTreeMap<u64, u32> {
    let mut works = BTreeMap::new();
    for number in 0..200 {
        let name = match number % 3 {
            0 => format!("nobody-{number}"),
            1 => format!("nobody-{number}@example.org"),
            _ => format!("no name {number}"),
        };
        let cost = work(app, &name).await;
        let again = work(app, &format!(" {} ", name.to_uppercase())).await;
        assert_eq!(cost, again, "{name}");
        *works.entry(cost).or_insert(0) += 1;
    }
    works
}

/// The table of costs, and what it should be.
fn costs(app: &TestApp) -> [String; 2] {
    let cost = app.database().form(
        "substr(password_hash, 16, instr(substr(password_hash, 16), '$') - 1)",
        "split_part(password_hash, '$', 4)",
    );
    let stored = format!(
        "SELECT {cost} AS cost, count(*) AS accounts FROM users WHERE password_hash IS NOT NULL GROUP BY cost"
    );
    ["SELECT cost, accounts FROM password_costs", &stored].map(|costs| {
        let sql =
            format!("SELECT group_concat(cost || ' ' || accounts) FROM ({costs} ORDER BY cost) AS costs");
        app.text(&sql)
    })
}

fn assert_counted(app: &TestApp, expected: &[(&str, i64)]) {
    let [counted, stored] = costs(app);
    assert_eq!(counted, stored);
    assert_eq!(counted, shown(expected));
}

fn shown(costs: &[(&str, i64)]) -> String {
    let shown: Vec<String> = costs.iter().map(|(cost, n)| format!("{cost} {n}")).collect();
    shown.join(",")
}

async fn register(app: &TestApp, names: impl IntoIterator<Item = u32>) {
    for number in names {
        app.register(&format!("user-{number}")).await;
    }
}

#[tokio::test]
async fn names_that_nobody_has_cost_what_those_of_accounts_cost() {
    let mut app = unlimited().await;
    assert_eq!(works_of_nobody(&app).await, [(8, 200)].into());
    register(&app, 0..15).await;
    app.restart_with("PASSWORD__ARGON2_MEMORY_KIB", "16").await;
    // All accounts still have the old cost, and so have the names without one.
    assert_eq!(works_of_nobody(&app).await, [(8, 200)].into());
    register(&app, 15..20).await;
    let works = works_of_nobody(&app).await;
    assert_eq!(works.keys().copied().collect::<Vec<_>>(), [8, 16]);
    // Three in four are expected; with 200 names, one key in a million gives a number outside of this range.
    assert!((120..=180).contains(&works[&8]), "{works:?}");
    // An account has its own cost, under each of its names.
    for (name, cost) in [("user-3", 8), ("USER-3@example.org", 8), ("user-17", 16)] {
        assert_eq!(work(&app, name).await, cost, "{name}");
    }
    for number in 0..15 {
        assert_eq!(app.login(&format!("user-{number}"), PASSWORD).await.status, 200);
    }
    assert_eq!(works_of_nobody(&app).await, [(16, 200)].into());
    app.restart().await;
    assert_eq!(works_of_nobody(&app).await, [(16, 200)].into());
}

#[tokio::test]
async fn an_account_without_a_password_costs_the_same_under_all_its_names() {
    let mut app = unlimited().await;
    register(&app, 0..10).await;
    app.restart_with("PASSWORD__ARGON2_MEMORY_KIB", "16").await;
    register(&app, 10..20).await;
    let mut costs = BTreeSet::new();
    for number in 20..40 {
        let name = format!("user-{number}");
        app.register(&name).await;
        app.change(&format!(
            "UPDATE users SET password_hash = NULL WHERE username = '{name}'"
        ));
        let cost = work(&app, &name).await;
        assert_eq!(work(&app, &format!("{name}@example.org")).await, cost);
        costs.insert(cost);
    }
    assert_eq!(costs, [8, 16].into());
}

#[tokio::test]
async fn every_write_of_a_password_is_counted() {
    const OLD: &str = "m=8,t=1,p=1";
    const NEW: &str = "m=16,t=1,p=1";
    let mut app = TestApp::builder()
        .open()
        .set("MAIL__TRANSPORT", "file")
        .start()
        .await;
    assert_counted(&app, &[]);
    let alice = app.register("alice").await;
    register(&app, 0..4).await;
    assert_counted(&app, &[(OLD, 5)]);
    // Refused changes are not counted.
    let taken = json!({"login": "alice", "password": PASSWORD, "email": "else@example.org"});
    assert_eq!(
        app.post("/v1/auth/register").json(&taken).send().await.status,
        409
    );
    assert_counted(&app, &[(OLD, 5)]);
    app.restart_with("PASSWORD__ARGON2_MEMORY_KIB", "16").await;
    // Each of these changes is counted once: by the owner, by a sign-in, by the operator, a deletion, and when the account is taken back.
    let alice = app.refresh(&alice.cookie()).await;
    let change = json!({"current_password": PASSWORD, "new_password": "another quiet harbour"});
    let request = app.post("/v1/auth/password/change").bearer(&alice.access_token());
    assert_eq!(request.json(&change).send().await.status, 204);
    assert_counted(&app, &[(NEW, 1), (OLD, 4)]);
    assert_eq!(app.login("user-0", PASSWORD).await.status, 200);
    assert_eq!(app.login("user-0", PASSWORD).await.status, 200);
    assert_counted(&app, &[(NEW, 2), (OLD, 3)]);
    let command = app.command().await;
    let user = |name: &str| UserRef::parse(name);
    let password = Password::parse("another quiet harbour", MIN_PASSWORD_CHARS, &[]);
    let password = password.expect("it is long enough");
    command
        .service
        .set_password(user("user-1"), password)
        .await
        .expect("the user exists");
    assert_counted(&app, &[(NEW, 3), (OLD, 2)]);
    command
        .service
        .delete_user(user("user-2"))
        .await
        .expect("the user exists");
    command
        .service
        .delete_user(user("user-0"))
        .await
        .expect("the user exists");
    assert_counted(&app, &[(NEW, 2), (OLD, 1)]);
    command
        .service
        .suspend(user("user-3"))
        .await
        .expect("the user exists");
    assert_counted(&app, &[(NEW, 2), (OLD, 1)]);
    command.close();
}

#[tokio::test]
async fn what_is_no_hash_of_ours_is_not_counted() {
    let app = unlimited().await;
    register(&app, 0..3).await;
    for (sql, left) in [
        (
            "UPDATE users SET password_hash = 'none' WHERE username = 'user-1'",
            Some(2),
        ),
        (
            "UPDATE users SET password_hash = '$argon2id$v=19$' WHERE username = 'user-2'",
            Some(1),
        ),
        ("UPDATE users SET password_hash = NULL", None),
    ] {
        app.change(sql);
        let [counted, _] = costs(&app);
        let left = left.map(|accounts| ("m=8,t=1,p=1", accounts));
        assert_eq!(counted, shown(left.as_slice()), "{sql}");
    }
}

#[test]
fn an_upgrade_counts_the_passwords_that_are_there() {
    let workspace = Workspace::with_database_file();
    old_database::put(&workspace, old_database::FIRST_RELEASE, 30);
    let path = old_database::path(&workspace);
    let write = |sql: &str| {
        let database = Connection::open(&path).expect("it opens");
        database.execute(sql, []).expect("it is written")
    };
    assert_eq!(
        write("UPDATE users SET password_hash = NULL WHERE id < unhex(printf('%032x', 6))"),
        5
    );
    let costly = "UPDATE users SET password_hash = replace(password_hash, 'm=8,', 'm=19456,') WHERE id > unhex(printf('%032x', 20))";
    assert_eq!(write(costly), 10);
    assert!(workspace.output(&["init"], "").status.success());
    let count = |cost: &str| {
        old_database::count(
            &path,
            &format!("SELECT accounts FROM password_costs WHERE cost = '{cost}'"),
        )
    };
    assert_eq!([count("m=8,t=1,p=1"), count("m=19456,t=1,p=1")], [15, 10]);
    assert_eq!(
        old_database::count(&path, "SELECT count(*) FROM password_costs"),
        2
    );
}
