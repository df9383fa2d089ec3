//! A database that has grown: pages of lists, and the sweep, take no more work than the rows that they are about.

use std::time::Duration;

use arkloop::domain::{More, Paging};
use arkloop::service::{AuditPage, AuditPart, AuditQuery, UserFilter, UserRef};

use crate::support::TestApp;

const DAY: i64 = 24 * 3_600_000;
/// Far less than it takes to read the rows that are added.
const A_FEW_INSTRUCTIONS: u64 = 1_000;

/// The numbers from `first` to `last`, as the table `n (i)` of a statement.
fn numbers(first: u32, last: u32) -> String {
    format!("WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})")
}

fn add_users(app: &TestApp, first: u32, last: u32) {
    app.change(&format!(
        "{} INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
         SELECT unhex(printf('%032x', i)), 'u' || i, 'u' || i, i || '@example.org', i || '@example.org', 'active', 'en', 0 FROM n",
        numbers(first, last)
    ));
}

/// Adds a row about each of so many accounts, and a count of refusals that have no rows.
fn add_audit(app: &TestApp, first: u32, last: u32) {
    app.change(&format!(
        "{} INSERT INTO audit_events (at, event, user_id, username) SELECT i, 'sign_out', unhex(printf('%032x', i)), 'u' || i FROM n",
        numbers(first, last)
    ));
    app.change(&format!(
        "{} INSERT INTO audit_counts (is_account, number, subject, username, event, refused_because, times, first_at, last_at, unlisted)
         SELECT 1, i, unhex(printf('%032x', i)), 'u' || i, 'sign_in.password', 'wrong_password', 1, i, i, i FROM n",
        numbers(first, last)
    ));
}

async fn list_audit(app: &TestApp, user: Option<UserRef>) -> AuditPage {
    let query = AuditQuery {
        user,
        events: None,
        since: None,
        part: AuditPart::Last,
        limit: 10,
    };
    let page = app.service().list_audit(query).await;
    page.expect("they are listed")
}

/// The work of reading the first accounts, the last rows of the audit log, and all rows about an account.
async fn cost_of_pages(app: &TestApp) -> u64 {
    let before = app.store_probe().instructions();
    let paging = Paging {
        after: None,
        limit: 10,
    };
    let users = app.service().list_users(UserFilter::default(), paging).await;
    let more = users.expect("they are listed").more;
    assert!(more.is_at_least, "{more:?}");
    let page = list_audit(app, None).await;
    assert!(page.more.is_at_least, "{page:?}");
    assert_eq!(page.entries.len(), 20, "{page:?}");
    // One row and one count each: the account is known by its id, by its username, or only by a username in the log.
    for user in ["00000000-0000-0000-0000-000000000007", "u7", "u10007"] {
        let page = list_audit(app, Some(UserRef::parse(user))).await;
        assert_eq!((page.entries.len(), page.more), (2, More::default()), "{page:?}");
    }
    app.store_probe().instructions() - before
}

#[tokio::test]
async fn a_page_takes_no_more_work_in_a_list_that_is_twice_as_long() {
    let app = TestApp::builder().of_sqlite().start().await;
    add_users(&app, 1, 11_000);
    add_audit(&app, 1, 11_000);
    app.change("DELETE FROM users WHERE username_key = 'u10007'");
    // A warm-up, for what is done once per connection.
    cost_of_pages(&app).await;
    let short = cost_of_pages(&app).await;
    add_users(&app, 11_001, 22_000);
    add_audit(&app, 11_001, 22_000);
    let long = cost_of_pages(&app).await;
    assert!(
        long <= short + A_FEW_INSTRUCTIONS,
        "{long} instructions instead of {short}"
    );
}

#[tokio::test]
async fn the_sweep_finds_the_few_sessions_that_are_old_among_many_that_are_kept() {
    let app = TestApp::start().await;
    let now = app.service().system().now().as_millis();
    add_users(&app, 1, 120);
    // 90 sessions of each account began long ago, and ended lately.
    app.change(&format!(
        "{} INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at, ended_at, ended_because)
         SELECT unhex(printf('%012x%020x', {began}, i)), unhex(printf('%032x', i % 120 + 1)), randomblob(16), 'pwd', {began}, {began}, {began}, {ended}, 'signed_out'
         FROM n",
        numbers(0, 10_799),
        began = now - 45 * DAY,
        ended = now - 10 * DAY,
    ));
    let add = |first: u32, last: u32, user: u32, began: i64, expires: i64| {
        app.change(&format!(
            "{} INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at)
             SELECT unhex(printf('%012x%020x', {began}, i)), unhex(printf('%032x', {user})), randomblob(16), 'pwd', {began}, {began}, {expires} FROM n",
            numbers(first, last)
        ));
    };
    add(1, 5, 7, now - 40 * DAY, now - 31 * DAY);
    // The last account has too many.
    add(6, 30, 120, now - DAY, now + DAY);
    let removed = app.service().sweep().await.expect("it is swept");
    assert_eq!(removed, 5 + 5);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 10_800 + 25);
    assert_eq!(
        app.count("SELECT count(*) FROM sessions WHERE ended_because = 'too_many_sessions'"),
        5
    );
    app.advance(Duration::from_hours(21 * 24));
    app.service().sweep().await.expect("it is swept");
    assert_eq!(
        app.count("SELECT count(*) FROM sessions WHERE ended_because = 'signed_out'"),
        0
    );
}
