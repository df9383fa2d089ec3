//! The writer: what was acknowledged is on disk, and a write that fails does not fail others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arkloop::domain::{Paging, Timestamp};
use arkloop::service::UserFilter;
use arkloop::store::{Setting, StoreError, Tx};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Gate, TestApp, registration};

#[tokio::test]
async fn the_writer_syncs_every_commit() {
    let app = TestApp::builder().of_sqlite().start().await;
    assert_eq!(app.store_probe().synchronous(), 2, "2 is FULL");
}

#[tokio::test]
async fn every_connection_keeps_its_plans() {
    let app = TestApp::builder().of_sqlite().start().await;
    let stability = app.store_probe().plan_stability();
    assert!(
        stability.len() >= 3,
        "the writer, readers and reports: {stability:?}"
    );
    assert!(stability.iter().all(|is_stable| *is_stable), "{stability:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_commit() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let gate = Gate::close(app.store_probe());
    let mut waiting = JoinSet::new();
    for number in 0..5 {
        waiting.spawn(
            app.post("/v1/auth/register")
                .json(&registration(&format!("user-{number}")))
                .send(),
        );
        waiting.spawn(app.post("/v1/auth/refresh").cookie(&cookie).send());
    }
    gate.wait_until_reached().await;
    let early = tokio::time::timeout(Duration::from_millis(500), waiting.join_next()).await;
    assert!(early.is_err(), "an answer left while COMMIT was held: {early:?}");
    // Nothing of it can be seen either.
    assert_eq!(
        app.service()
            .list_users(UserFilter::default(), Paging::default())
            .await
            .expect("they are listed")
            .rows
            .len(),
        1
    );
    gate.open();
    let answers = waiting.join_all().await;
    assert!(
        answers.iter().all(|answer| matches!(answer.status, 200 | 201)),
        "{answers:?}"
    );
    assert_eq!(
        app.service()
            .list_users(UserFilter::default(), Paging::default())
            .await
            .expect("they are listed")
            .rows
            .len(),
        6
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_a_503_for_every_piece_of_its_batch() {
    // Over PostgreSQL a refresh has a batch of its own.
    let app = TestApp::builder().of_sqlite().open().start().await;
    let cookie = app.register("alice").await.cookie();
    let before = app.rows().await;
    let gate = Gate::close(app.store_probe());
    let holder = app.occupy_writer();
    gate.wait_until_reached().await;
    let mut batch = JoinSet::new();
    for number in 0..10 {
        batch.spawn(
            app.post("/v1/auth/register")
                .json(&registration(&format!("user-{number}")))
                .send(),
        );
    }
    // This registration would be refused anyway, but that is not certain either while the batch is not.
    batch.spawn(app.post("/v1/auth/register").json(&registration("alice")).send());
    batch.spawn(app.post("/v1/auth/refresh").cookie(&cookie).send());
    app.wait_for_waiting_writes(12).await;
    gate.fail_from_now_on();
    assert!(holder.await.expect("it did not panic").is_err());
    for answer in batch.join_all().await {
        assert_eq!(answer.brief(), "503 service.unavailable");
        assert!(
            answer
                .header("retry-after")
                .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
        );
    }
    app.store_probe().let_commits_through();
    assert_eq!(app.rows().await, before);
    assert_eq!(app.refresh(&cookie).await.status, 200);
    app.register("user-0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_fails_or_panics_leaves_its_neighbours_alone() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let gate = Gate::close(app.store_probe());
    let holder = app.occupy_writer();
    gate.wait_until_reached().await;
    let mut neighbours = JoinSet::new();
    let mut troublemakers = JoinSet::new();
    for number in 0..3 {
        neighbours.spawn(
            app.post("/v1/auth/register")
                .json(&registration(&format!("user-{number}")))
                .send(),
        );
        app.wait_for_waiting_writes(3 * number + 1).await;
        let service = Arc::clone(app.service());
        troublemakers.spawn(async move {
            let failed: Result<(), StoreError> = service
                .store()
                .write(|tx| {
                    do_half(tx)?;
                    panic!("a test asked for this panic")
                })
                .await;
            assert!(matches!(failed, Err(StoreError::Panicked(_))), "{failed:?}");
        });
        app.wait_for_waiting_writes(3 * number + 2).await;
        neighbours.spawn(app.post("/v1/auth/register").json(&registration("alice")).send());
        app.wait_for_waiting_writes(3 * number + 3).await;
    }
    gate.open();
    holder.await.expect("it did not panic").expect("it is written");
    troublemakers.join_all().await;
    let answers = neighbours.join_all().await;
    let count = |brief: &str| answers.iter().filter(|answer| answer.brief() == brief).count();
    assert_eq!(
        (count("201 -"), count("409 auth.login_exists")),
        (3, 3),
        "{answers:?}"
    );
    assert_eq!(
        app.service()
            .list_users(UserFilter::default(), Paging::default())
            .await
            .expect("they are listed")
            .rows
            .len(),
        4
    );
    assert_eq!(half_done(&app).await, None);
}

/// Changes a setting, so that a write which fails afterwards has something to undo.
fn do_half(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.put_setting(
        Setting::ServedAppUrl,
        Some("half done"),
        Timestamp::from_millis(0),
    )
}

/// What [`do_half`] left.
async fn half_done(app: &TestApp) -> Option<String> {
    let store = app.service().store();
    let found: Result<_, StoreError> = store
        .read(|reader| reader.find_setting(Setting::ServedAppUrl))
        .await;
    found.expect("it is read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_alone_is_undone_when_it_fails_or_panics() {
    let app = TestApp::open().await;
    for (end, panics) in [("fails", false), ("panics", true)] {
        let given_back = Arc::new(AtomicU32::new(0));
        let budget = Arc::clone(&given_back);
        let failed: Result<(), StoreError> = app
            .service()
            .store()
            .write(move |tx| {
                do_half(tx)?;
                tx.if_undone(move || {
                    budget.fetch_add(1, Ordering::SeqCst);
                });
                assert!(!panics, "a test asked for this panic");
                Err(StoreError::Unavailable("a test asked for this".to_owned()))
            })
            .await;
        let is_expected = match failed {
            Err(StoreError::Panicked(_)) => panics,
            Err(StoreError::Unavailable(ref reason)) => !panics && reason == "a test asked for this",
            _ => false,
        };
        assert!(is_expected, "{end}: {failed:?}");
        assert_eq!(given_back.load(Ordering::SeqCst), 1, "{end}");
        assert_eq!(
            app.service().store().trouble(),
            None,
            "{end}: the disk is not at fault"
        );
        // The next commit does not contain it either.
        app.register(&format!("somebody-{end}")).await;
        assert_eq!(half_done(&app).await, None, "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_inside_an_attempt_undoes_the_whole_piece() {
    let app = TestApp::open().await;
    let gate = Gate::close(app.store_probe());
    let holder = app.occupy_writer();
    gate.wait_until_reached().await;
    let mut neighbours = JoinSet::new();
    neighbours.spawn(app.post("/v1/auth/register").json(&registration("before")).send());
    app.wait_for_waiting_writes(1).await;
    let service = Arc::clone(app.service());
    let panics = tokio::spawn(async move {
        let failed: Result<(), StoreError> = service
            .store()
            .write(|tx| {
                do_half(tx)?;
                tx.attempt(|_| panic!("a test asked for this panic"))?
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Panicked(_))), "{failed:?}");
    });
    app.wait_for_waiting_writes(2).await;
    neighbours.spawn(app.post("/v1/auth/register").json(&registration("after")).send());
    app.wait_for_waiting_writes(3).await;
    gate.open();
    holder.await.expect("it did not panic").expect("it is written");
    panics.await.expect("the panic was caught");
    for answer in neighbours.join_all().await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(half_done(&app).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_leaves_nothing_half_done() {
    let app = TestApp::builder().of_sqlite().open().start().await;
    let cookie = app.register("alice").await.cookie();
    app.store_probe().limit_pages(1);
    let mut refused = None;
    let mut acknowledged = Vec::new();
    // Free space in existing pages lets a few through first.
    for number in 0..200 {
        let login = format!("user-{number}");
        let answer = app
            .post("/v1/auth/register")
            .json(&registration(&login))
            .send()
            .await;
        if answer.status != 201 {
            assert_eq!(answer.brief(), "503 service.unavailable");
            refused = Some(login);
            break;
        }
        acknowledged.push(login);
    }
    let refused = refused.expect("the database is full at some point");
    assert_eq!(
        app.service()
            .list_users(UserFilter::default(), Paging::default())
            .await
            .expect("they are listed")
            .rows
            .len(),
        acknowledged.len() + 1
    );
    app.store_probe().limit_pages(0);
    app.register(&refused).await;
    for login in acknowledged {
        assert_eq!(app.login(&login, crate::support::PASSWORD).await.status, 200);
    }
    assert_eq!(app.refresh(&cookie).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_nobody_waits_for_any_more_is_not_done() {
    let app = TestApp::open().await;
    let gate = Gate::close(app.store_probe());
    let holder = app.occupy_writer();
    gate.wait_until_reached().await;
    let abandoned = tokio::spawn(
        app.post("/v1/auth/register")
            .json(&json!({
                "login": "gone", "password": crate::support::PASSWORD, "email": "gone@example.org"
            }))
            .send(),
    );
    app.wait_for_waiting_writes(1).await;
    abandoned.abort();
    // The server sees the closed connection and drops the request.
    tokio::time::sleep(Duration::from_millis(300)).await;
    gate.open();
    holder.await.expect("it did not panic").expect("it is written");
    app.register("next").await;
    let users = app
        .service()
        .list_users(UserFilter::default(), Paging::default())
        .await
        .expect("they are listed");
    assert_eq!(users.rows.len(), 1, "{users:?}");
}
