//! Turnstile over HTTP: whatever siteverify does, no refused token passes, nothing is left behind, and no other request waits.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Behaviour, PASSWORD, Request, SECRET_KEY, Siteverify, TestApp, Workspace};

const OPERATIONS: [&str; 5] = [
    "/v1/auth/register",
    "/v1/auth/login",
    "/v1/auth/check",
    "/v1/auth/email/otp/send",
    "/v1/auth/password/reset/send",
];

/// A valid body; the token is left out if it is empty.
fn body_of(path: &str, token: &str) -> Value {
    let mut body = match path {
        "/v1/auth/register" => json!({"login": "bob", "password": PASSWORD, "email": "bob@example.org"}),
        "/v1/auth/login" => json!({"login": "alice", "password": PASSWORD}),
        "/v1/auth/check" => json!({"login": "alice"}),
        _ => json!({"email": "alice@example.org"}),
    };
    if !token.is_empty() {
        body["cf_turnstile_token"] = json!(token);
    }
    body
}

/// A server whose visitors all need a token.
async fn start(siteverify: &Siteverify) -> TestApp {
    TestApp::builder()
        .open()
        .set("TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("TURNSTILE__VERIFY_URL", &siteverify.url())
        .set("TURNSTILE__ALLOWED_HOSTS", "auth.example.org")
        .set("TURNSTILE__PROTECT_CHECK", "true")
        .start()
        .await
}

/// [`start`] with the account alice, who used the token `good alice`. Also returns her refresh cookie.
async fn start_with_alice(siteverify: &Siteverify) -> (TestApp, String) {
    let app = start(siteverify).await;
    let mut body = body_of(OPERATIONS[0], "good alice");
    body["login"] = json!("alice");
    body["email"] = json!("alice@example.org");
    let answer = app.post(OPERATIONS[0]).json(&body).send().await;
    assert_eq!(answer.brief(), "201 -");
    (app, answer.cookie())
}

/// Calls all five operations at once, each with a token of its own that begins with `token`. An empty one is left out, and `good alice` is sent unchanged.
async fn ask_all(app: &TestApp, token: &str) -> Vec<Answer> {
    let mut asking = JoinSet::new();
    for (number, path) in OPERATIONS.into_iter().enumerate() {
        let token = if token.is_empty() || token == "good alice" {
            token.to_owned()
        } else {
            format!("{token} {number}")
        };
        let request = app.post(path).json(&body_of(path, &token));
        asking.spawn(async move { (number, request.send().await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn briefs(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(Answer::brief).collect()
}

/// Everything that a request would have changed if it had passed.
async fn traces(app: &TestApp) -> String {
    let tables = [
        "users",
        "sessions",
        "outbox",
        "one_time_codes",
        "link_tokens",
        "mail_budgets",
    ];
    let counts = tables.map(|table| app.count(&format!("SELECT count(*) FROM {table}")));
    format!("{counts:?}\n{}", app.rows().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_lets_each_operation_through() {
    let siteverify = Siteverify::start().await;
    let (app, _) = start_with_alice(&siteverify).await;
    let answers = ask_all(&app, "good").await;
    assert_eq!(briefs(&answers), ["201 -", "200 -", "200 -", "204 -", "204 -"]);
    assert_eq!(siteverify.questions().len(), 6);
    assert!(
        siteverify
            .questions()
            .iter()
            .all(|question| question.form["remoteip"] == "127.0.0.1")
    );
    assert_eq!(
        app.count("SELECT count(*) FROM outbox"),
        4,
        "two verifications, a code and a link"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_422_everywhere_and_changes_nothing() {
    let siteverify = Siteverify::start().await;
    let (app, _) = start_with_alice(&siteverify).await;
    let before = traces(&app).await;
    let refused = Behaviour::Answer(400, r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#);
    for (what, token, behaviour, questions) in [
        ("none", "", Behaviour::Judge, 0),
        ("one that siteverify refuses", "bad", Behaviour::Judge, 5),
        ("one that was used before", "good alice", Behaviour::Judge, 5),
        (
            "one of another page",
            "good",
            Behaviour::SuccessOn("evil.example"),
            5,
        ),
        ("one that is refused with 400", "good", refused, 5),
    ] {
        let asked = siteverify.questions().len();
        siteverify.usually(behaviour);
        let answers = ask_all(&app, token).await;
        assert_eq!(briefs(&answers), ["422 auth.captcha_invalid"; 5], "{what}");
        assert_eq!(siteverify.questions().len() - asked, questions, "{what}");
        assert_eq!(traces(&app).await, before, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_503_everywhere_and_changes_nothing() {
    let elsewhere = Siteverify::always(Behaviour::SuccessOn("auth.example.org")).await;
    let siteverify = Siteverify::start().await;
    let (app, _) = start_with_alice(&siteverify).await;
    let before = traces(&app).await;
    let success = r#"{"success":true,"hostname":"auth.example.org"}"#;
    for behaviour in [
        Behaviour::Answer(500, success),
        Behaviour::Answer(502, ""),
        Behaviour::Answer(403, success),
        Behaviour::Answer(200, "<html>just a moment</html>"),
        Behaviour::Answer(200, r#"{"success":"true","hostname":"auth.example.org"}"#),
        Behaviour::Answer(200, r#"{"success":true}"#),
        Behaviour::Answer(200, r#"{"success":false,"error-codes":["invalid-input-secret"]}"#),
        Behaviour::Redirect(elsewhere.url()),
        Behaviour::TenMegabytes,
        Behaviour::Noise,
        Behaviour::HangUp,
        Behaviour::Drip,
        Behaviour::Hang,
    ] {
        siteverify.usually(behaviour.clone());
        let answers = ask_all(&app, "good").await;
        assert_eq!(
            briefs(&answers),
            ["503 auth.captcha_unavailable"; 5],
            "{behaviour:?}"
        );
        for answer in &answers {
            let retry_after = answer
                .header("retry-after")
                .and_then(|seconds| seconds.parse::<u32>().ok());
            assert!(retry_after.is_some_and(|seconds| seconds > 0), "{answer:?}");
        }
        assert_eq!(traces(&app).await, before, "{behaviour:?}");
    }
    assert_eq!(elsewhere.questions().len(), 0, "a redirect is not followed");
    siteverify.usually(Behaviour::Judge);
    let answers = ask_all(&app, "good again").await;
    assert_eq!(briefs(&answers), ["201 -", "200 -", "200 -", "204 -", "204 -"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_body_is_found_without_asking() {
    let siteverify = Siteverify::start().await;
    let (app, _) = start_with_alice(&siteverify).await;
    let asked = siteverify.questions().len();
    for path in OPERATIONS {
        let token = format!("good {path}");
        let mut unknown = body_of(path, &token);
        unknown["surprise"] = json!(1);
        let mut incomplete = body_of(path, &token);
        let first = incomplete
            .as_object()
            .and_then(|fields| fields.keys().next().cloned());
        incomplete
            .as_object_mut()
            .expect("it is an object")
            .remove(&first.expect("it has fields"));
        let mut endless = body_of(path, &token);
        endless["cf_turnstile_token"] = json!("x".repeat(17_000));
        for (body, expected) in [
            (unknown.to_string(), "422 validation.error"),
            (incomplete.to_string(), "422 validation.error"),
            (endless.to_string(), "413 request.too_large"),
            ("[]".to_owned(), "400 request.malformed"),
        ] {
            let answer = app.post(path).text("application/json", body).send().await;
            assert_eq!(answer.brief(), expected, "{path}");
        }
        let foreign = app.post(path).header("origin", "https://evil.example");
        let answer = foreign.json(&body_of(path, &token)).send().await;
        assert_eq!(answer.brief(), "403 request.origin_forbidden", "{path}");
    }
    let mut weak = body_of(OPERATIONS[0], "good weak");
    weak["password"] = json!("password");
    let answer = app.post(OPERATIONS[0]).json(&weak).send().await;
    assert_eq!(answer.brief(), "422 validation.error");
    assert_eq!(siteverify.questions().len(), asked, "and no token is spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_limits_refuse_spends_no_token() {
    let siteverify = Siteverify::start().await;
    let (app, _) = start_with_alice(&siteverify).await;
    let [login, send_code, send_reset] = [
        "/v1/auth/login",
        "/v1/auth/email/otp/send",
        "/v1/auth/password/reset/send",
    ];
    let ask = async |path: &str, name: &str, token: &str| {
        let body = match path {
            "/v1/auth/login" => {
                json!({"login": name, "password": "a wrong one", "cf_turnstile_token": token})
            }
            _ => json!({"email": format!("{name}@example.org"), "cf_turnstile_token": token}),
        };
        app.post(path).json(&body).send().await
    };
    // An account and a name without one are refused in the same way.
    for name in ["alice", "nobody"] {
        for path in [send_code, send_reset] {
            assert_eq!(
                ask(path, name, &format!("good {path} {name}")).await.brief(),
                "204 -"
            );
        }
        for turn in 0..5 {
            let refused = ask(login, name, &format!("good {turn} {name}")).await;
            assert_eq!(refused.brief(), "401 auth.invalid_credentials", "{name}");
        }
    }
    let asked = siteverify.questions().len();
    let mut refusals = Vec::new();
    for name in ["alice", "nobody"] {
        for (path, code) in [
            (send_code, "429 auth.otp_rate_limited"),
            (send_reset, "429 auth.otp_rate_limited"),
            (login, "429 rate_limit.exceeded"),
        ] {
            for token in ["good later", "bad"] {
                let refused = ask(path, name, token).await;
                assert_eq!(refused.brief(), code, "{name} {path} {token}");
                refusals.push(refused.header("retry-after").map(str::to_owned));
            }
        }
    }
    assert_eq!(siteverify.questions().len(), asked);
    assert_eq!(refusals[..6], refusals[6..]);
    // A client without a token does not learn whether mail was asked for.
    for path in [send_code, send_reset] {
        let refused = ask(path, "alice", "").await;
        assert_eq!(refused.brief(), "422 auth.captcha_invalid", "{path}");
    }
    // The token that came too early is good a minute later, and a refused one leaves the budget as it is.
    app.advance(Duration::from_mins(1));
    let refused = ask(send_code, "alice", "bad").await;
    assert_eq!(refused.brief(), "422 auth.captcha_invalid");
    assert_eq!(ask(send_code, "alice", "good later").await.brief(), "204 -");
    let rows = app.audit().await;
    let early = rows
        .iter()
        .filter(|row| row.starts_with("code.sent refused: too_many_mails"));
    assert!(early.count() > 0, "{rows:?}");
}

/// The CPU time of the hash threads of a process, in ticks of 10 ms.
fn hash_ticks(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let mut ticks = 0;
    for thread in threads {
        let path = thread.expect("it is listed").path();
        let stat = std::fs::read_to_string(path.join("stat")).expect("the thread runs");
        let (name, rest) = stat.rsplit_once(')').expect("a name stands in parentheses");
        if name.contains("(hash-") {
            // Fields 14 and 15 of proc_pid_stat(5), of which the first two are gone.
            let fields = rest.split_whitespace().skip(11).take(2);
            ticks += fields
                .map(|field| field.parse::<u64>().expect("it is a number"))
                .sum::<u64>();
        }
    }
    ticks
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_hashed_before_the_captcha_is_solved() {
    let siteverify = Siteverify::start().await;
    let mut workspace = Workspace::new();
    workspace
        .set("ARKLOOP_REGISTRATION__MODE", "open")
        .set("ARKLOOP_RATE_LIMIT__ENABLED", "false")
        .set("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "65536")
        .set("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "8")
        .set("ARKLOOP_TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("ARKLOOP_TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("ARKLOOP_TURNSTILE__VERIFY_URL", &siteverify.url());
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let ask = |path: &'static str, token: String| {
        Request::new(address, "POST", path)
            .json(&body_of(path, &token))
            .send()
    };
    let mut refused = JoinSet::new();
    for number in 0..10 {
        siteverify.once(if number % 2 == 0 {
            Behaviour::Judge
        } else {
            Behaviour::Answer(500, "")
        });
        refused.spawn(ask("/v1/auth/register", format!("bad {number}")));
        refused.spawn(ask("/v1/auth/login", format!("bad {number}")));
    }
    for answer in refused.join_all().await {
        assert!(matches!(answer.status, 422 | 503), "{answer:?}");
    }
    let before = hash_ticks(server.id());
    assert!(before <= 2, "{before} ticks for nothing");
    for (path, status) in [("/v1/auth/login", 401), ("/v1/auth/register", 201)] {
        assert_eq!(ask(path, format!("good {path}")).await.status, status);
    }
    let hashed = hash_ticks(server.id()) - before;
    assert!(hashed >= 10, "one hash is seen, too: {hashed} ticks");
    assert!(siteverify.questions().len() >= 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_no_captcha_is_served_while_siteverify_hangs() {
    let siteverify = Siteverify::start().await;
    let (app, mut cookie) = start_with_alice(&siteverify).await;
    siteverify.usually(Behaviour::Hang);
    let asked = siteverify.questions().len();
    let mut hanging = JoinSet::new();
    for number in 0..40 {
        let body = body_of("/v1/auth/login", &format!("good {number}"));
        hanging.spawn(app.post("/v1/auth/login").json(&body).send());
    }
    siteverify.wait_for_questions(asked + 32).await;
    for _ in 0..20 {
        let answer = app.refresh(&cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        cookie = answer.cookie();
    }
    // Tokens for which there was no room were refused at once; the others are given up after five seconds, which have not passed yet.
    let mut answers = Vec::new();
    while let Some(answer) = hanging.try_join_next() {
        answers.push(answer.expect("it did not panic"));
    }
    assert!(answers.len() <= 8, "{} have been given up", answers.len());
    siteverify.release();
    siteverify.usually(Behaviour::HangUp);
    let rest = tokio::time::timeout(Duration::from_secs(30), hanging.join_all()).await;
    answers.extend(rest.expect("nobody hangs for ever"));
    assert_eq!(briefs(&answers), ["503 auth.captcha_unavailable"; 40]);
}
