//! Races between a change of the address and other changes of the account: one wins, and an undo always does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arkloop::service::UserRef;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::address::{HELD, Mover};
use crate::support::{Answer, Gate, PASSWORD, Request, TestApp};

const OWN: &str = "alice@example.org";
const NEW: &str = "new@example.net";
const NEW_PASSWORD: &str = "a louder harbour";
const INVALID: &str = "422 email.token_invalid";
const LIVE_SESSIONS: &str = "SELECT count(*) FROM sessions WHERE ended_at IS NULL";

fn confirm(app: &TestApp, caller: &Answer, token: &str) -> Request {
    let request = app.post("/v1/auth/email/change/confirm");
    let request = request.json(&json!({ "token": token }));
    request.bearer(&caller.access_token())
}

fn undo(app: &TestApp, token: &str) -> Request {
    let request = app.post("/v1/auth/email/change/undo");
    request.json(&json!({ "token": token }))
}

/// Holds the commit of `first` while `second` passes its early checks and waits; gives both answers.
async fn one_after_the_other(app: &TestApp, first: Request, second: Request) -> [String; 2] {
    // The gate is for these two, and not for the mail worker.
    app.wait_for_empty_outbox().await;
    let gate = Gate::close(app.store_probe());
    let first = tokio::spawn(first.send());
    gate.wait_until_reached().await;
    let second = tokio::spawn(second.send());
    app.wait_for_waiting_writes(1).await;
    gate.open();
    let answers = [first.await, second.await];
    app.store_probe().let_commits_through();
    answers.map(|answer| answer.expect("it did not panic").brief())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_confirmations_of_one_link_change_it_once() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    let mut confirming = JoinSet::new();
    for number in 0..50 {
        let request = if number % 2 == 0 {
            confirm(&mover.app, &alice, &token)
        } else {
            let body = json!({"token": token, "current_password": PASSWORD});
            mover.app.post("/v1/auth/email/change/confirm").json(&body)
        };
        confirming.spawn(request.send());
    }
    let answers = confirming.join_all().await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1);
    // Where the password won, the session is over for those that came behind.
    let others = ["200 -", INVALID, "401 auth.invalid_token"];
    for answer in &answers {
        assert!(others.contains(&answer.brief().as_str()), "{answer:?}");
    }
    assert_eq!(mover.stored_address("alice"), NEW);
    assert_eq!((mover.undos_to(OWN).await, mover.living_undos()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_tried_50_times_at_once_works_once() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, NEW).await;
    let token = mover.undo_token(OWN).await;
    let mut undoing = JoinSet::new();
    for _ in 0..50 {
        undoing.spawn(undo(&mover.app, &token).send());
    }
    let answers = undoing.join_all().await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.brief() == INVALID).count();
    assert_eq!((done, refused), (1, 49));
    assert_eq!(mover.stored_address("alice"), OWN);
    assert_eq!(
        mover
            .app
            .count("SELECT count(*) FROM link_tokens WHERE purpose = 'reset_password'"),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_against_a_change_ends_with_the_former_address() {
    for is_undo_first in [true, false] {
        let mover = Mover::start().await;
        let thief = mover.verified("alice", HELD).await;
        mover.move_to(&thief, NEW).await;
        let token = mover.undo_token(OWN).await;
        let next = mover.token_to(&thief, "next@example.net").await;
        let (undo, change) = (undo(&mover.app, &token), confirm(&mover.app, &thief, &next));
        let (first, second, expected) = if is_undo_first {
            (undo, change, ["200 -", "401 auth.invalid_token"])
        } else {
            (change, undo, ["200 -", "200 -"])
        };
        let answers = one_after_the_other(&mover.app, first, second).await;
        assert_eq!(answers, expected, "{is_undo_first}");
        assert_eq!(mover.stored_address("alice"), OWN, "{is_undo_first}");
        assert_eq!(mover.living_undos(), 0);
        assert_eq!(mover.app.count(LIVE_SESSIONS), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_a_sign_in_or_refresh_in_flight_survives_an_undo() {
    for (way, refused) in [
        ("password", "401 auth.invalid_credentials"),
        ("code", "422 auth.otp_invalid"),
        ("refresh", "401 auth.invalid_token"),
    ] {
        for is_undo_first in [true, false] {
            let mover = Mover::start().await;
            let thief = mover.verified("alice", HELD).await;
            let cookie = mover.move_to(&thief, NEW).await.cookie();
            let undo = undo(&mover.app, &mover.undo_token(OWN).await);
            let entry = match way {
                "password" => {
                    let body = json!({"login": "alice", "password": PASSWORD});
                    mover.app.post("/v1/auth/login").json(&body)
                }
                "code" => {
                    assert_eq!(mover.app.send_code(NEW).await.status, 204);
                    let code = mover.mail(NEW, "localhost: Your sign-in code").await.code();
                    let body = json!({"email": NEW, "otp": code});
                    mover.app.post("/v1/auth/email/otp/verify").json(&body)
                }
                _ => mover.app.post("/v1/auth/refresh").cookie(&cookie),
            };
            let (answers, expected) = if is_undo_first {
                let answers = one_after_the_other(&mover.app, undo, entry).await;
                (answers, ["200 -", refused])
            } else {
                let answers = one_after_the_other(&mover.app, entry, undo).await;
                (answers, ["200 -", "200 -"])
            };
            assert_eq!(answers, expected, "{way}");
            assert_eq!(mover.app.count(LIVE_SESSIONS), 0, "{way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_change_is_confirmed_or_called_off_and_never_both() {
    for is_confirmed in [true, false] {
        let mover = Mover::start().await;
        let alice = mover.verified("alice", HELD).await;
        let token = mover.token_to(&alice, NEW).await;
        let reject = mover.app.post("/v1/auth/email/verify/reject");
        let reject = reject.json(&json!({ "token": token }));
        let confirm = confirm(&mover.app, &alice, &token);
        let (first, second, address) = if is_confirmed {
            (confirm, reject, NEW)
        } else {
            (reject, confirm, OWN)
        };
        let answers = one_after_the_other(&mover.app, first, second).await;
        assert_eq!(answers, ["200 -", INVALID], "{is_confirmed}");
        assert_eq!(mover.stored_address("alice"), address);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_at_once_leave_one_link() {
    // The outbox rests: nothing is sent.
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let mut asking = JoinSet::new();
    for number in 0..50 {
        let body = json!({"new_email": format!("new-{number}@example.net"), "current_password": PASSWORD});
        let request = app.post("/v1/auth/email/change").json(&body);
        asking.spawn(request.bearer(&alice.access_token()).send());
    }
    for answer in asking.join_all().await {
        assert_eq!(answer.brief(), "204 -");
    }
    for rows in ["email_changes", "outbox WHERE kind = 'change_email'"] {
        assert_eq!(app.count(&format!("SELECT count(*) FROM {rows}")), 1, "{rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_against_a_reset_lets_one_win() {
    for is_reset_first in [true, false] {
        let mover = Mover::start().await;
        let alice = mover.verified("alice", HELD).await;
        let token = mover.token_to(&alice, NEW).await;
        assert_eq!(mover.app.send_reset(OWN).await.status, 204);
        let reset = mover.mail(OWN, "localhost: Reset your password").await.token();
        let change = confirm(&mover.app, &alice, &token);
        let body = json!({"token": reset, "new_password": NEW_PASSWORD});
        let set = mover.app.post("/v1/auth/password/reset/confirm").json(&body);
        let (answers, expected, address) = if is_reset_first {
            let answers = one_after_the_other(&mover.app, set, change).await;
            (answers, ["204 -", "401 auth.invalid_token"], OWN)
        } else {
            let answers = one_after_the_other(&mover.app, change, set).await;
            (answers, ["200 -", "422 auth.reset_token_invalid"], NEW)
        };
        assert_eq!(answers, expected);
        assert_eq!(mover.stored_address("alice"), address);
        // A session of before the reset confirms nothing, and neither does the password of before.
        assert_eq!(mover.confirm_with(PASSWORD, &token).await.brief(), INVALID);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_flight_do_not_survive_a_password_change() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let password_change = || {
        let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
        let request = mover.app.post("/v1/auth/password/change").json(&body);
        request.bearer(&alice.access_token())
    };
    // A request that has proved the old password, and waits.
    let body = json!({"new_email": NEW, "current_password": PASSWORD});
    let ask = mover.app.post("/v1/auth/email/change").json(&body);
    let ask = ask.bearer(&alice.access_token());
    let answers = one_after_the_other(&mover.app, password_change(), ask).await;
    assert_eq!(answers, ["204 -", "422 validation.error"]);
    assert_eq!(mover.app.count("SELECT count(*) FROM email_changes"), 0);
    // A confirmation that has proved the old password, and waits.
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let change = mover.app.post("/v1/auth/password/change").json(&body);
    let change = change.bearer(&alice.access_token());
    let body = json!({"token": token, "current_password": PASSWORD});
    let confirm = mover.app.post("/v1/auth/email/change/confirm").json(&body);
    let answers = one_after_the_other(&mover.app, change, confirm).await;
    assert_eq!(answers, ["204 -", INVALID]);
    assert_eq!(mover.stored_address("alice"), OWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_taken_between_request_and_confirmation_is_409() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, "bob@example.org").await;
    mover.app.register("bob").await;
    let verification = mover.mail("bob@example.org", "localhost: Confirm your e-mail address");
    let verification = verification.await.token();
    // Bob proves the address while the confirmation waits.
    let verify = mover.app.post("/v1/auth/email/verify/confirm");
    let verify = verify.json(&json!({ "token": verification }));
    let change = confirm(&mover.app, &alice, &token);
    let answers = one_after_the_other(&mover.app, verify, change).await;
    assert_eq!(answers, ["200 -", "409 auth.email_exists"]);
    assert_eq!(mover.stored_address("alice"), OWN);
    assert_eq!(mover.app.me(&alice.access_token()).await.status, 200);
    // The link is still good.
    let bob = mover.app.service().delete_user(UserRef::parse("bob")).await;
    bob.expect("it is there");
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
}

#[tokio::test]
async fn asking_for_a_taken_address_is_the_same_write() {
    const TABLES: [&str; 7] = [
        "outbox",
        "email_changes",
        "email_undos",
        "former_addresses",
        "mail_budgets",
        "audit_events",
        "audit_counts",
    ];
    // The outbox rests: nothing is sent.
    let app = TestApp::open().await;
    for login in ["owner", "former", "squatter"] {
        app.register(login).await;
    }
    app.change(
        "UPDATE users SET email_verified_at = created_at WHERE username = 'owner';
         INSERT INTO email_undos SELECT zeroblob(32), id, 'reserved@example.org', 'reserved@example.org', 0, 0, 9999999999999
         FROM users WHERE username = 'former';",
    );
    let commits = Arc::new(AtomicUsize::new(0));
    let mut first = None;
    for (number, address) in [
        "free@example.org",
        "owner@example.org",
        "reserved@example.org",
        "squatter@example.org",
        "ASKER-4@example.org",
    ]
    .into_iter()
    .enumerate()
    {
        let asker = app.register(&format!("asker-{number}")).await;
        app.change("UPDATE users SET email_verified_at = created_at WHERE username LIKE 'asker-%'");
        let rows = || TABLES.map(|table| app.count(&format!("SELECT count(*) FROM {table}")));
        let before = rows();
        let counted = Arc::clone(&commits);
        app.store_probe().on_commit(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        let body = json!({"new_email": address, "current_password": PASSWORD});
        let request = app.post("/v1/auth/email/change").json(&body);
        let answer = request.bearer(&asker.access_token()).send().await;
        app.store_probe().let_commits_through();
        assert_eq!(answer.brief(), "204 -", "{address}");
        let grown: Vec<i64> = rows()
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let found = (commits.swap(0, Ordering::SeqCst), grown);
        assert_eq!(&found, first.get_or_insert_with(|| found.clone()), "{address}");
    }
    assert_eq!(first, Some((1, vec![2, 1, 0, 0, 1, 1, 0])));
}
