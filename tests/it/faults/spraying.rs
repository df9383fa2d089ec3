//! Guessing one-time codes of many accounts, a few at each: above a number of wrong codes an hour, codes are mailed more slowly to every address.

use std::time::Duration;

use serde_json::json;

use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, TestApp, Workspace};

const PAUSE: Duration = Duration::from_mins(1);

/// A server behind a proxy on this machine that allows `threshold` wrong codes an hour.
async fn start(threshold: &str, smtp: &SmtpServer) -> TestApp {
    let builder = TestApp::builder()
        .open()
        .smtp(smtp)
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("OTP__SPRAY_THRESHOLD", threshold);
    builder.start().await
}

fn address(login: &str) -> String {
    format!("{login}@example.org")
}

/// Tries `times` wrong codes for `login` from `network`; at most five, since that many belong to one code.
async fn guess(app: &TestApp, login: &str, times: u32, network: &str) {
    let sent = app.send_code(&address(login)).await;
    assert_eq!(sent.brief(), "204 -", "{login}");
    for _ in 0..times {
        let request = app.post("/v1/auth/email/otp/verify");
        let request = request.header("x-forwarded-for", network);
        // This text is wrong whatever code was mailed.
        let body = json!({"email": address(login), "otp": "wrong"});
        let answer = request.json(&body).send().await;
        assert_eq!(answer.brief(), "422 auth.otp_invalid", "{login}");
    }
}

/// Registers `number` accounts and returns their names.
async fn accounts(app: &TestApp, prefix: &str, number: usize) -> Vec<String> {
    let mut logins = Vec::new();
    for number in 0..number {
        let login = format!("{prefix}{number}");
        app.register(&login).await;
        logins.push(login);
    }
    logins
}

/// Asks for codes, a minute apart, until one is refused: how many were granted, and the refusal.
async fn sends(app: &TestApp, login: &str) -> (usize, Answer) {
    for granted in 0..20 {
        let answer = app.send_code(&address(login)).await;
        if answer.status != 204 {
            assert_eq!(answer.brief(), "429 auth.otp_rate_limited", "{login}");
            return (granted, answer);
        }
        app.advance(PAUSE);
    }
    panic!("nothing is refused");
}

#[tokio::test]
async fn above_the_threshold_codes_are_mailed_twice_an_hour_for_every_address_until_it_is_quiet() {
    let smtp = SmtpServer::start();
    let mut app = start("10", &smtp).await;
    let logins = accounts(&app, "user-", 3).await;
    app.register("alice").await;
    for (login, times) in logins.iter().zip([5, 5, 1]) {
        // At the threshold nothing is slowed down yet.
        assert_eq!(sends(&app, &format!("before-{login}")).await.0, 5);
        guess(&app, login, times, "198.51.100.1").await;
    }
    let mut refusals = Vec::new();
    for login in ["alice", "nobody"] {
        let (granted, refusal) = sends(&app, login).await;
        assert_eq!(granted, 2, "{login}");
        refusals.push(refusal.shown_with_headers());
        // Two minutes have gone since the first, and a restart forgets nothing.
        assert_eq!(refusal.header("retry-after"), Some("3480"));
        app.restart().await;
        assert_eq!(app.send_code(&address(login)).await.status, 429);
    }
    assert_eq!(refusals[0], refusals[1]);
    // Verification and resets keep their budgets: they are the owner's way out.
    app.advance(PAUSE);
    for login in ["alice", "nobody"] {
        for _ in 0..5 {
            assert_eq!(app.send_reset(&address(login)).await.brief(), "204 -", "{login}");
            app.advance(PAUSE);
        }
    }
    let token = app.login("alice", PASSWORD).await.access_token();
    for _ in 0..4 {
        let request = app.post("/v1/auth/email/verify/send").bearer(&token);
        assert_eq!(request.send().await.brief(), "204 -");
        app.advance(PAUSE);
    }
    // Once the eleventh last wrong code is an hour old, the count is at the threshold again.
    app.advance(Duration::from_hours(1));
    for login in ["alice", "nobody", "somebody"] {
        assert_eq!(sends(&app, login).await.0, 5, "{login}");
    }
}

#[tokio::test]
async fn one_network_adds_at_most_twenty_wrong_codes_an_hour() {
    let smtp = SmtpServer::start();
    let app = start("25", &smtp).await;
    let logins = accounts(&app, "user-", 11).await;
    for (number, login) in logins.iter().take(8).enumerate() {
        // Forty wrong codes come from one IPv6 /48, in several /64 of it.
        let network = format!("2001:db8:1:{number:x}::{number}");
        guess(&app, login, 5, &network).await;
    }
    assert_eq!(sends(&app, "nobody").await.0, 5);
    guess(&app, &logins[8], 5, "198.51.100.1").await;
    assert_eq!(
        sends(&app, "no-one").await.0,
        5,
        "twenty and five are no more than 25"
    );
    guess(&app, &logins[9], 1, "198.51.100.2").await;
    assert_eq!(sends(&app, "no-person").await.0, 2);
    assert_eq!(
        app.count("SELECT count(*) FROM failed_codes WHERE is_account = 1"),
        26
    );
}

#[tokio::test]
async fn wrong_codes_of_unknown_addresses_count_apart_and_slow_nothing_down() {
    let smtp = SmtpServer::start();
    let app = start("10", &smtp).await;
    app.register("alice").await;
    for number in 0..12 {
        guess(
            &app,
            &format!("nobody-{number}"),
            5,
            &format!("198.51.100.{number}"),
        )
        .await;
    }
    for login in ["alice", "somebody"] {
        assert_eq!(sends(&app, login).await.0, 5, "{login}");
    }
    // Only those that decide are kept of each kind: one more than the threshold.
    assert_eq!(app.count("SELECT count(*) FROM failed_codes"), 11);
    app.advance(Duration::from_hours(26));
    app.service().sweep().await.expect("it sweeps");
    assert_eq!(app.count("SELECT count(*) FROM failed_codes"), 0);
}

#[tokio::test]
async fn a_threshold_of_0_is_no_brake() {
    let smtp = SmtpServer::start();
    let app = start("0", &smtp).await;
    for login in accounts(&app, "user-", 6).await {
        guess(&app, &login, 5, "198.51.100.1").await;
    }
    assert_eq!(sends(&app, "nobody").await.0, 5);
    assert_eq!(app.count("SELECT count(*) FROM failed_codes"), 0);
}

#[tokio::test]
async fn a_refusal_by_the_brake_is_told_from_one_by_the_usual_budget() {
    let smtp = SmtpServer::start();
    let app = start("1", &smtp).await;
    app.register("alice").await;
    guess(&app, "alice", 2, "198.51.100.1").await;
    app.advance(PAUSE);
    sends(&app, "alice").await;
    let reasons = app.text(
        "SELECT group_concat(refused_because) FROM audit_events WHERE event = 'code.sent' AND refused_because IS NOT NULL",
    );
    assert_eq!(reasons, "codes_braked");
}

#[test]
fn the_log_check_and_the_figures_warn_while_codes_are_braked() {
    let mut workspace = Workspace::new();
    workspace
        .set("ARKLOOP_REGISTRATION__MODE", "open")
        .set("ARKLOOP_METRICS__LISTEN", "unix:metrics.sock")
        .set("ARKLOOP_OTP__SPRAY_THRESHOLD", "2");
    let server = workspace.serve();
    let alice = json!({"login": "alice", "email": "alice@example.org", "password": "a quiet harbour"});
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&alice)).0,
        201
    );
    let email = json!({"email": "alice@example.org"});
    let sent = server.request("POST", "/v1/auth/email/otp/send", None, Some(&email));
    assert_eq!(sent.0, 204);
    let warning = "one-time codes of many accounts are being guessed: more than 2 were wrong";
    let line = |workspace: &Workspace| {
        let findings = workspace.run(&["check"]);
        let line = findings.lines().find(|line| line.contains(" codes   "));
        let words = line.unwrap_or_default().split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    };
    for number in 0..4 {
        if number == 2 {
            insta::assert_snapshot!(line(&workspace), @"ok codes wrong in the last hour at accounts: 2, at unknown addresses: 0");
        }
        let body = json!({"email": "alice@example.org", "otp": "wrong"});
        let verified = server.request("POST", "/v1/auth/email/otp/verify", None, Some(&body));
        assert_eq!(verified.0, 422);
    }
    insta::assert_snapshot!(line(&workspace), @"warning codes more than 2 were wrong within an hour over all accounts, so that 2 in an hour are mailed for each mailbox until it is quiet; see who guesses with `arkloop audit --event sign_in.code --since 1h`, and keep those networks out; raise otp.spray_threshold only if these are people");
    let figures = figures(&workspace);
    for sample in [
        "arkloop_codes_braked 1",
        "arkloop_wrong_codes_last_hour{address=\"known\"} 3",
        "arkloop_wrong_codes_last_hour{address=\"unknown\"} 0",
    ] {
        assert!(
            figures.lines().any(|line| line == sample),
            "{sample} in {figures}"
        );
    }
    let log = server.stop();
    assert_eq!(log.matches(warning).count(), 1, "{log}");
}

/// The answer of the metrics listener.
fn figures(workspace: &Workspace) -> String {
    use std::io::{Read as _, Write as _};
    let socket = workspace.path().join("metrics.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("it listens");
    let request = "GET /metrics HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
