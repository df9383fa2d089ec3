//! Ended sessions: they are kept for a while, and make nothing slower.

use std::time::Duration;

use arkloop::domain::{MIN_PASSWORD_CHARS, Paging, Password};
use arkloop::service::{UserFilter, UserRef};
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp};

/// How many sessions an account may have, and how many of its ended ones are kept.
const MOST_ALIVE: i64 = 20;
const MOST_ENDED: i64 = 100;
/// Far more than it takes to read that many sessions, and far less than it takes to read 20 000 rows.
const A_FEW_INSTRUCTIONS: u64 = 30_000;

/// Gives `login` sessions one second apart: `ended` that ended, and `over` whose term is over.
fn pile_up(app: &TestApp, login: &str, ended: u32, over: u32) {
    app.change(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at, ended_at, ended_because)
         SELECT randomblob(16), users.id, randomblob(16), 'pwd', 1766000000000, 1766000000000 + i * 1000, 1766100000000 + i * 1000,
             CASE WHEN i <= {ended} THEN 1766100000000 + i * 1000 END, CASE WHEN i <= {ended} THEN 'signed_out' END
         FROM n, users WHERE username_key = '{login}'",
        ended + over
    ));
}

/// How many sessions of `login` fulfil a condition.
fn count(app: &TestApp, login: &str, condition: &str) -> i64 {
    app.count(&format!(
        "SELECT count(*) FROM sessions WHERE {condition} AND user_id = (SELECT id FROM users WHERE username_key = '{login}')"
    ))
}

async fn list(app: &TestApp, caller: &Answer) -> usize {
    let request = app.get("/v1/auth/sessions").bearer(&caller.access_token());
    let answer = request.send().await;
    let list = answer.json()["sessions"].as_array().map(Vec::len);
    list.unwrap_or_else(|| panic!("{answer:?}"))
}

async fn sign_out(app: &TestApp, caller: &Answer) {
    let request = app.post("/v1/auth/logout").bearer(&caller.access_token());
    assert_eq!(request.send().await.status, 200);
}

/// Asserts that `work` on an account with 20 000 ended sessions takes little more than on one without.
async fn assert_costs_alike(app: &TestApp, what: &str, work: impl AsyncFn(&str)) {
    let mut costs = [0, 0];
    // The first round is a warm-up, for what is done once per connection.
    for _ in 0..2 {
        for (cost, login) in costs.iter_mut().zip(["lonely", "crowded"]) {
            let before = app.store_probe().instructions();
            work(login).await;
            *cost = app.store_probe().instructions() - before;
        }
    }
    let [lonely, crowded] = costs;
    assert!(
        crowded <= lonely + A_FEW_INSTRUCTIONS,
        "{what}: {crowded} instructions instead of {lonely}"
    );
}

#[tokio::test]
async fn twenty_thousand_ended_sessions_are_not_read() {
    let app = TestApp::builder().of_sqlite().open().start().await;
    for login in ["lonely", "crowded"] {
        app.register(login).await;
    }
    pile_up(&app, "crowded", 20_000, 0);
    let service = app.service();
    assert_costs_alike(&app, "a sign-in", async |login: &str| {
        assert_eq!(app.login(login, PASSWORD).await.status, 200);
    })
    .await;
    let [lonely, crowded] = [
        app.login("lonely", PASSWORD).await,
        app.login("crowded", PASSWORD).await,
    ];
    let caller = |login: &str| if login == "lonely" { &lonely } else { &crowded };
    assert_costs_alike(&app, "the list of one's sessions", async |login: &str| {
        list(&app, caller(login)).await;
    })
    .await;
    assert_costs_alike(&app, "user show", async |login: &str| {
        let shown = service.find_user(UserRef::parse(login)).await;
        assert_eq!(shown.expect("it is there").sessions, 4);
    })
    .await;
    let search = |login: &str| UserFilter {
        search: Some(login.to_owned()),
        ..UserFilter::default()
    };
    assert_costs_alike(&app, "user list", async |login: &str| {
        let listed = service.list_users(search(login), Paging::default()).await;
        assert_eq!(listed.expect("they are listed").rows.len(), 1);
    })
    .await;
    assert_costs_alike(&app, "a change of the password", async |login: &str| {
        let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
        let request = app
            .post("/v1/auth/password/change")
            .bearer(&caller(login).access_token());
        assert_eq!(request.json(&body).send().await.status, 204);
    })
    .await;
    assert_costs_alike(&app, "suspending an account", async |login: &str| {
        let suspended = service.suspend(UserRef::parse(login)).await;
        assert_eq!(suspended.expect("it is there").sessions, 0);
    })
    .await;
}

#[tokio::test]
async fn of_an_account_s_ended_sessions_the_newest_hundred_are_kept() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    let mut last = None;
    for _ in 0..130 {
        let signed_in = app.login("alice", PASSWORD).await;
        app.advance(Duration::from_secs(1));
        sign_out(&app, &signed_in).await;
        last = Some(signed_in);
        assert!(count(&app, "alice", "ended_at IS NOT NULL") <= MOST_ENDED);
    }
    assert_eq!(count(&app, "alice", "ended_at IS NOT NULL"), MOST_ENDED);
    let last = last.expect("there is one").cookie();
    assert_eq!(app.ended_because(&last).await.as_deref(), Some("signed_out"));
    assert_eq!(list(&app, &first).await, 1);
    // The bound also holds when many sessions end at once.
    for _ in 0..30 {
        app.login("alice", PASSWORD).await;
    }
    let password = Password::parse("a louder harbour", MIN_PASSWORD_CHARS, &[]).expect("it is good");
    let set = app
        .service()
        .set_password(UserRef::parse("alice"), password)
        .await;
    set.expect("the user exists");
    assert_eq!(count(&app, "alice", "ended_at IS NULL"), 0);
    assert_eq!(
        count(&app, "alice", "ended_because = 'password_changed'"),
        MOST_ALIVE
    );
    assert_eq!(count(&app, "alice", "true"), MOST_ENDED);
}

#[tokio::test]
async fn sessions_that_were_not_used_do_not_pile_up() {
    let app = TestApp::builder()
        .open()
        .set("TOKENS__REFRESH_IDLE_TTL", "1h")
        .start()
        .await;
    app.register("alice").await;
    for _ in 0..150 {
        app.advance(Duration::from_hours(2));
        assert_eq!(app.login("alice", PASSWORD).await.status, 200);
        assert!(count(&app, "alice", "true") <= MOST_ALIVE + MOST_ENDED);
    }
    assert_eq!(count(&app, "alice", "ended_at IS NULL"), MOST_ALIVE);
    // They ended when their term was over, and not when there was no more room.
    let late = count(
        &app,
        "alice",
        "ended_at IS NOT NULL AND (ended_at <> expires_at OR ended_because <> 'expired')",
    );
    assert_eq!(late, 0);
}

#[tokio::test]
async fn what_has_piled_up_before_is_swept() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let bob = app.register("bob").await;
    pile_up(&app, "alice", 5_000, 2_000);
    pile_up(&app, "bob", 90, 10);
    app.service().sweep().await.expect("it is swept");
    assert_eq!(count(&app, "alice", "true"), MOST_ALIVE + MOST_ENDED);
    // The newest ended sessions and all living ones are left.
    assert_eq!(list(&app, &alice).await, 1);
    let oldest = "SELECT min(coalesce(ended_at, expires_at)) FROM sessions WHERE user_id = (SELECT id FROM users WHERE username_key = 'alice')";
    assert!(app.count(oldest) > 1_766_100_000_000 + 6_800_000);
    assert_eq!(count(&app, "bob", "true"), 101);
    assert_eq!(list(&app, &bob).await, 1);
}
