//! One-time codes and links under many simultaneous tries: a guess is counted before it is compared, and what works once does not work twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::smtp::SmtpServer;
use crate::support::{Answer, TestApp};

const ALICE: &str = "alice@example.org";

async fn start(smtp: &SmtpServer) -> TestApp {
    TestApp::builder().open().smtp(smtp).start().await
}

/// A server on which `login` is registered, its verification mail read.
async fn start_with(login: &str, smtp: &SmtpServer) -> TestApp {
    let app = start(smtp).await;
    app.register(login).await;
    smtp.mail_to(&format!("{login}@example.org")).await;
    app
}

/// A new code for an address that has an account, out of its mail.
async fn new_code(app: &TestApp, smtp: &SmtpServer, email: &str) -> String {
    assert_eq!(app.send_code(email).await.brief(), "204 -");
    smtp.mail_to(email).await.code()
}

/// A code that differs from `code`, by adding `number`.
fn wrong(code: &str, number: u32) -> String {
    let right: u32 = code.parse().expect("a code is a number");
    format!("{:06}", (right + 1 + number) % 1_000_000)
}

/// How often each answer came, as `200 - × 1`.
fn tally(answers: &[Answer]) -> Vec<String> {
    let mut briefs: Vec<_> = answers.iter().map(Answer::brief).collect();
    briefs.sort();
    briefs
        .chunk_by(|one, other| one == other)
        .map(|equal| format!("{} × {}", equal[0], equal.len()))
        .collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn among_200_parallel_guesses_five_are_compared() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    for (round, place) in [0, 2, 5, 30, 100, 199].into_iter().enumerate() {
        let login = format!("user-{round}");
        let email = format!("{login}@example.org");
        app.register(&login).await;
        smtp.mail_to(&email).await;
        let code = new_code(&app, &smtp, &email).await;
        let mut guessing = JoinSet::new();
        for number in 0..200 {
            let guess = if number == place {
                code.clone()
            } else {
                wrong(&code, number)
            };
            let body = json!({ "email": email, "otp": guess });
            guessing.spawn(app.post("/v1/auth/email/otp/verify").json(&body).send());
        }
        let answers = guessing.join_all().await;
        let signed_in = count(&answers, 200);
        assert_eq!(signed_in + count(&answers, 422), 200, "{:?}", tally(&answers));
        assert!(signed_in <= 1, "{:?}", tally(&answers));
        let of_user = format!(
            "FROM one_time_codes JOIN users ON users.id = one_time_codes.user_id WHERE username = '{login}'"
        );
        let attempts = app.count(&format!("SELECT attempts {of_user}"));
        let used = app.count(&format!("SELECT used_at IS NOT NULL {of_user}"));
        let failures = app.count(&format!("SELECT failures {of_user}"));
        let is_used_up = if signed_in == 1 {
            (1..=5).contains(&attempts)
        } else {
            attempts == 5
        };
        assert!(is_used_up, "{attempts} attempts, {signed_in} signed in");
        assert_eq!(used, i64::from(signed_in == 1));
        // A success resets the failures; without one, each comparison is a failure.
        assert!(failures <= 5, "{failures}");
        assert_eq!(
            app.verify_code(&email, &code).await.brief(),
            "422 auth.otp_invalid"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_wrong_guesses_the_right_code_is_wrong_also_across_a_restart() {
    let smtp = SmtpServer::start();
    let mut app = start_with("alice", &smtp).await;
    for wrong_guesses in [4, 5] {
        let code = new_code(&app, &smtp, ALICE).await;
        for number in 0..wrong_guesses {
            if number == 3 {
                app.advance(Duration::from_secs(1));
                app.restart().await;
            }
            let answer = app.verify_code(ALICE, &wrong(&code, number)).await;
            assert_eq!(answer.brief(), "422 auth.otp_invalid");
        }
        let expected = if wrong_guesses < 5 {
            "200 -"
        } else {
            "422 auth.otp_invalid"
        };
        assert_eq!(app.verify_code(ALICE, &code).await.brief(), expected);
        // A sign-in by code takes the account back, and one mail tells the owner.
        if wrong_guesses < 5 {
            smtp.mail_to(ALICE).await;
        }
        app.advance(Duration::from_secs(61));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_used_50_times_at_once_signs_in_once() {
    let smtp = SmtpServer::start();
    let app = start_with("alice", &smtp).await;
    let code = new_code(&app, &smtp, ALICE).await;
    let mut using = JoinSet::new();
    for _ in 0..50 {
        let body = json!({ "email": ALICE, "otp": code });
        using.spawn(app.post("/v1/auth/email/otp/verify").json(&body).send());
    }
    let answers = using.join_all().await;
    assert_eq!(tally(&answers), ["200 - × 1", "422 auth.otp_invalid × 49"]);
    assert_eq!(app.count("SELECT count(*) FROM sessions WHERE method = 'otp'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_for_its_own_address_only() {
    let smtp = SmtpServer::start();
    let app = start_with("alice", &smtp).await;
    app.register("bob").await;
    smtp.mail_to("bob@example.org").await;
    let code = new_code(&app, &smtp, ALICE).await;
    let of_bob = new_code(&app, &smtp, "bob@example.org").await;
    assert_ne!(code, of_bob);
    for other in ["bob@example.org", "nobody@example.org"] {
        assert_eq!(
            app.verify_code(other, &code).await.brief(),
            "422 auth.otp_invalid"
        );
    }
    assert_eq!(app.verify_code("ALICE@example.org", &code).await.status, 200);
    assert_eq!(app.verify_code("bob@example.org", &of_bob).await.status, 200);
}

/// `429 auth.otp_rate_limited`, and how long to wait.
fn refusal(answer: &Answer) -> String {
    let retry_after = answer.header("retry-after").unwrap_or("none");
    format!("{} {retry_after}", answer.brief())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_of_an_address_survives_a_restart() {
    let smtp = SmtpServer::start();
    let mut app = start_with("alice", &smtp).await;
    for email in [ALICE, "nobody@example.org"] {
        for round in 1..=5 {
            assert_eq!(app.send_code(email).await.brief(), "204 -");
            assert_eq!(app.send_reset(email).await.brief(), "204 -");
            app.advance(Duration::from_secs(20));
            if round % 2 == 0 {
                app.restart().await;
            }
            let wait = if round < 5 { 40 } else { 3600 - 4 * 61 - 20 };
            let expected = format!("429 auth.otp_rate_limited {wait}");
            assert_eq!(refusal(&app.send_code(email).await), expected, "{email} {round}");
            assert_eq!(refusal(&app.send_reset(email).await), expected, "{email} {round}");
            app.advance(Duration::from_secs(41));
        }
        app.restart().await;
        assert_eq!(app.send_code(email).await.brief(), "429 auth.otp_rate_limited");
        app.advance(Duration::from_hours(1));
        assert_eq!(app.send_code(email).await.brief(), "204 -");
        app.advance(Duration::from_hours(25));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_100_failures_an_address_is_locked_for_a_day_also_across_a_restart() {
    let smtp = SmtpServer::start();
    let mut app = start_with("alice", &smtp).await;
    let mut code = String::new();
    for round in 0..20 {
        code = new_code(&app, &smtp, ALICE).await;
        assert_eq!(app.send_code("nobody@example.org").await.brief(), "204 -");
        for number in 0..5 {
            // The 100th failure is the last one that is compared; a sixth guess counts for nothing.
            for email in [ALICE, "nobody@example.org"] {
                let answer = app.verify_code(email, &wrong(&code, number)).await;
                assert_eq!(answer.brief(), "422 auth.otp_invalid", "{round} {number}");
            }
        }
        if round < 19 {
            assert_eq!(
                app.verify_code(ALICE, &code).await.brief(),
                "422 auth.otp_invalid"
            );
            app.advance(Duration::from_mins(150));
        }
    }
    app.advance(Duration::from_mins(1));
    app.restart().await;
    for email in [ALICE, "nobody@example.org"] {
        let locked = format!("429 auth.otp_locked {}", 24 * 3600 - 60);
        assert_eq!(refusal(&app.verify_code(email, &code).await), locked);
        assert_eq!(refusal(&app.send_code(email).await), locked);
    }
    app.advance(Duration::from_hours(24));
    let code = new_code(&app, &smtp, ALICE).await;
    assert_eq!(app.verify_code(ALICE, &code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_mail_is_one_write_whether_or_not_the_address_is_known() {
    // The outbox worker does not run, so every commit belongs to a request.
    let app = TestApp::open().await;
    app.register("alice").await;
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    app.store_probe().on_commit(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        true
    });
    let rows = |table: &str| app.count(&format!("SELECT count(*) FROM {table}"));
    let mut grown = Vec::new();
    for email in [ALICE, "nobody@example.org"] {
        let tables = ["outbox", "one_time_codes", "mail_budgets"];
        let before = tables.map(rows);
        assert_eq!(app.send_code(email).await.status, 204);
        assert_eq!(commits.swap(0, Ordering::SeqCst), 1, "{email}");
        assert_eq!(app.send_reset(email).await.status, 204);
        assert_eq!(commits.swap(0, Ordering::SeqCst), 1, "{email}");
        for refused in [app.send_code(email).await, app.send_reset(email).await] {
            assert_eq!(refused.brief(), "429 auth.otp_rate_limited");
        }
        assert_eq!(
            commits.swap(0, Ordering::SeqCst),
            2,
            "{email}: refusals take their turn as writes too"
        );
        let after = tables.map(rows);
        grown.push([0, 1, 2].map(|table| after[table] - before[table]));
    }
    assert_eq!(grown, [[2, 1, 2], [2, 1, 2]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_link_tried_50_times_at_once_works_once() {
    let smtp = SmtpServer::start();
    // Each of the passwords is tried afterwards.
    let unlimited = TestApp::builder().set("RATE_LIMIT__ENABLED", "false");
    let app = unlimited.open().smtp(&smtp).start().await;
    app.register("alice").await;
    smtp.mail_to(ALICE).await;
    assert_eq!(app.send_reset(ALICE).await.status, 204);
    let token = smtp.mail_to(ALICE).await.token();
    let mut trying = JoinSet::new();
    for number in 0..50 {
        let password = format!("another quiet harbour {number}");
        let body = json!({ "token": token, "new_password": password });
        let request = app.post("/v1/auth/password/reset/confirm").json(&body);
        trying.spawn(async move { (request.send().await, password) });
    }
    let (answers, passwords): (Vec<_>, Vec<_>) = trying.join_all().await.into_iter().unzip();
    assert_eq!(
        tally(&answers),
        ["204 - × 1", "422 auth.reset_token_invalid × 49"]
    );
    for (answer, password) in answers.iter().zip(&passwords) {
        let expected = if answer.status == 204 { 200 } else { 401 };
        assert_eq!(app.login("alice", password).await.status, expected);
    }
    smtp.mail_to(ALICE).await;
    app.wait_for_empty_outbox().await;
    assert_eq!(
        smtp.received().len(),
        3,
        "that the password was changed is told once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_link_is_confirmed_or_rejected_and_never_both() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    for round in 0..6 {
        let login = format!("user-{round}");
        app.register(&login).await;
        let token = smtp.mail_to(&format!("{login}@example.org")).await.token();
        let mut trying = JoinSet::new();
        for number in 0..50 {
            // Some rounds are only rejected, most are both.
            let verb = if round > 0 && number % 2 == round % 2 {
                "confirm"
            } else {
                "reject"
            };
            let request = app.post(&format!("/v1/auth/email/verify/{verb}"));
            let request = request.json(&json!({ "token": token }));
            trying.spawn(async move { (verb, request.send().await) });
        }
        let (mut confirmed, mut rejected) = (Vec::new(), Vec::new());
        for (verb, answer) in trying.join_all().await {
            let place = if verb == "confirm" {
                &mut confirmed
            } else {
                &mut rejected
            };
            place.push(answer);
        }
        let user = format!("SELECT count(*) FROM users WHERE username = '{login}'");
        let (confirmations, rejections) = (count(&confirmed, 200), count(&rejected, 200));
        if rejections == 0 {
            // Confirming again is fine, and the first confirmation has won over every rejection.
            assert_eq!(confirmations, confirmed.len());
            assert_eq!(
                tally(&rejected),
                [format!("422 email.token_invalid × {}", rejected.len())]
            );
            assert_eq!(app.count(&user), 1);
        } else {
            assert_eq!((rejections, confirmations), (1, 0), "{round}");
            assert_eq!(app.count(&user), 0);
        }
        assert!(round > 0 || rejections == 1);
    }
}
