//! Addresses without an account, of which strangers have any number: the rows for them are bounded, and push out no row of an account.

use std::time::Duration;

use crate::support::TestApp;
use crate::support::address::Mover;
use crate::support::smtp::{Fault, SmtpServer, Stage};

const ALICE: &str = "alice@example.org";
const PAUSE: Duration = Duration::from_mins(1);
/// How many rows of a table are kept for addresses without an account.
const MOST: i64 = 100_000;

const CODES_OF_NOBODY: &str = "SELECT count(*) FROM one_time_codes WHERE user_id IS NULL";
const BUDGETS_OF_NOBODY: &str = "SELECT count(*) FROM mail_budgets WHERE is_account = 0";

/// Does what requests for codes of that many addresses do, only faster.
fn flood(app: &TestApp, addresses: i64) {
    app.change(&format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {addresses})
         INSERT INTO one_time_codes (address_digest, code_mac, created_at, expires_at, number)
         SELECT randomblob(32), randomblob(32), at, at + 600000,
                n + (SELECT coalesce(max(number), 0) FROM one_time_codes WHERE user_id IS NULL)
         FROM n, (SELECT max(last_sent_at) AS at FROM mail_budgets) AS last;
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {addresses})
         INSERT INTO mail_budgets (address_digest, purpose, sends, last_sent_at, is_account, number)
         SELECT randomblob(32), 'sign_in', x'', at, 0,
                n + (SELECT coalesce(max(number), 0) FROM mail_budgets WHERE is_account = 0)
         FROM n, (SELECT max(last_sent_at) AS at FROM mail_budgets) AS last;"
    ));
}

/// A server with alice: a code was mailed to her, her mails of the hour are spent, and so are four of the five tries of the code.
async fn start(smtp: &SmtpServer) -> (TestApp, String) {
    let app = TestApp::builder().open().smtp(smtp).start().await;
    app.register("alice").await;
    smtp.mail_to(ALICE).await;
    let mut code = String::new();
    for _ in 0..5 {
        app.advance(PAUSE);
        assert_eq!(app.send_code(ALICE).await.status, 204);
        code = smtp.mail_to(ALICE).await.code();
    }
    for _ in 0..4 {
        assert_eq!(app.verify_code(ALICE, "wrong").await.status, 422);
    }
    (app, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_addresses_is_kept_up_to_a_bound_and_forgets_nothing_of_an_account() {
    let smtp = SmtpServer::start();
    let (mut app, code) = start(&smtp).await;
    // Another spelling of the address has the budget of the account, and not that of an unknown address.
    assert_eq!(app.send_code("ALICE@EXAMPLE.ORG").await.status, 429);
    flood(&app, MOST - 5);
    for number in 0..20 {
        let address = format!("nobody-{number}@example.org");
        assert_eq!(app.send_code(&address).await.status, 204);
        assert_eq!(app.send_reset(&address).await.status, 204);
    }
    for table in [CODES_OF_NOBODY, BUDGETS_OF_NOBODY] {
        assert_eq!(app.count(table), MOST, "{table}");
    }
    // All links for unknown addresses share one row.
    let links = "SELECT count(*) FROM link_tokens WHERE user_id IS NULL";
    assert_eq!(app.count(links), 1);
    for _ in 0..2 {
        let sent = app.send_code(ALICE).await;
        assert_eq!(sent.brief(), "429 auth.otp_rate_limited");
        app.restart().await;
    }
    // The newest rows of unknown addresses are still there too.
    assert_eq!(app.send_code("nobody-19@example.org").await.status, 429);
    assert_eq!(app.verify_code(ALICE, "wrong").await.status, 422);
    assert_eq!(
        app.verify_code(ALICE, &code).await.brief(),
        "422 auth.otp_invalid",
        "five tries are used up"
    );
    app.wait_for_empty_outbox().await;
    // A day after their term, all these rows are swept.
    app.advance(Duration::from_hours(50));
    app.service().sweep().await.expect("it sweeps");
    for table in ["one_time_codes", "mail_budgets", "link_tokens"] {
        assert_eq!(app.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_account_stays_locked_through_a_flood_of_unknown_addresses() {
    let smtp = SmtpServer::start();
    let (mut app, _) = start(&smtp).await;
    app.change("UPDATE one_time_codes SET failures = 99");
    assert_eq!(app.verify_code(ALICE, "wrong").await.status, 422);
    flood(&app, MOST);
    assert_eq!(app.send_code("nobody@example.org").await.status, 204);
    for _ in 0..2 {
        assert_eq!(app.send_code(ALICE).await.brief(), "429 auth.otp_locked");
        assert_eq!(
            app.verify_code(ALICE, "wrong").await.brief(),
            "429 auth.otp_locked"
        );
        app.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_an_account_has_spent_of_stays_an_account_s() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder().open().smtp(&smtp).start().await;
    // At this request no account has the address, so the budget is one of an unknown address.
    assert_eq!(app.send_reset(ALICE).await.status, 204);
    assert_eq!(app.count(BUDGETS_OF_NOBODY), 1);
    app.register("alice").await;
    app.advance(PAUSE);
    assert_eq!(app.send_reset(ALICE).await.status, 204);
    assert_eq!(app.count(BUDGETS_OF_NOBODY), 0);
    // When the account is gone and its mailbox is asked for again, the count goes on.
    let alice = arkloop::service::UserRef::parse("alice");
    app.service().delete_user(alice).await.expect("the user exists");
    app.advance(PAUSE);
    assert_eq!(app.send_reset(ALICE).await.status, 204);
    assert_eq!(app.count(BUDGETS_OF_NOBODY), 0);
    flood(&app, MOST);
    for _ in 0..2 {
        app.advance(PAUSE);
        assert_eq!(app.send_reset(ALICE).await.status, 204);
    }
    app.advance(PAUSE);
    assert_eq!(app.send_reset(ALICE).await.brief(), "429 auth.otp_rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_addresses_frees_no_mailbox_for_changes_of_an_address() {
    const STRANGER: &str = "stranger@example.net";
    let mover = Mover::start().await;
    let alice = mover.verified("alice", PAUSE).await;
    for _ in 0..5 {
        mover.token_to(&alice, STRANGER).await;
    }
    flood(&mover.app, MOST);
    assert_eq!(mover.app.send_code("nobody@example.org").await.status, 204);
    let more = mover.ask(&alice, STRANGER).await;
    assert_eq!(more.brief(), "429 auth.otp_rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn decoys_go_although_every_place_for_mail_on_its_way_is_taken() {
    let smtp = SmtpServer::start();
    smtp.always(Stage::Greeting, Fault::Silence);
    let app = TestApp::builder().open().smtp(&smtp).start().await;
    // More real mails than may be on their way at once, to a server that says nothing.
    for number in 0..10 {
        app.register(&format!("user-{number}")).await;
    }
    for number in 0..40 {
        let address = format!("nobody-{number}@example.org");
        assert_eq!(app.send_code(&address).await.status, 204);
    }
    let decoys = || app.count("SELECT count(*) FROM outbox WHERE expires_at <= created_at");
    let gone = async {
        while decoys() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), gone)
        .await
        .expect("decoys do not wait for the mail server");
    assert_eq!(app.count("SELECT count(*) FROM outbox"), 10);
}
