//! Nothing tells an account that is there from one that is not: not the words, not the headers, not the work (OWASP Authentication Cheat Sheet,
//! "Authentication and Error Messages"). How long answers take is measured by `benches/timing`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arkloop::service::UserRef;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

/// A server with limits on which `active` and `suspended` have a password, `bare` has none, and `nobody` and `nothing` are not there.
async fn start() -> TestApp {
    let app = TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "true")
        .start()
        .await;
    for login in ["active", "suspended", "bare"] {
        app.register(login).await;
    }
    let suspended = app.service().suspend(UserRef::parse("suspended")).await;
    suspended.expect("it is there");
    app.change("UPDATE users SET password_hash = NULL WHERE username = 'bare'");
    app
}

/// Everything of an answer but its trace id and date.
fn shown(answer: &Answer) -> String {
    let trace_id = answer.header("x-trace-id").expect("it has one");
    let length = answer.header("content-length").unwrap_or("none");
    let body = answer.body.replace(trace_id, "[trace id]");
    format!("{}\n{length}\n{body}", answer.shown_with_headers())
}

/// What a request left behind: commits, and rows by table.
struct Traces {
    commits: Arc<AtomicUsize>,
}

impl Traces {
    fn of(app: &TestApp) -> Self {
        let commits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commits);
        app.store_probe().on_commit(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        Self { commits }
    }

    /// Commits since the last call.
    fn commits(&self) -> usize {
        self.commits.swap(0, Ordering::SeqCst)
    }
}

/// Sends all bodies in each step, with the pauses after the steps. All answers and work of a step must equal those for its first body.
/// Returns the answers in brief.
async fn assert_same(app: &TestApp, path: &str, bodies: &[Value], pauses: &[u64]) -> Vec<String> {
    const TABLES: [&str; 5] = [
        "outbox",
        "one_time_codes",
        "mail_budgets",
        "password_failures",
        "audit_events",
    ];
    let rows = || TABLES.map(|table| app.count(&format!("SELECT count(*) FROM {table}")));
    let traces = Traces::of(app);
    let mut briefs = Vec::new();
    for (step, pause) in pauses.iter().enumerate() {
        let mut first = None;
        for body in bodies {
            let before = rows();
            let answer = app.post(path).json(body).send().await;
            let after = rows();
            let grown: Vec<i64> = after
                .iter()
                .zip(before)
                .map(|(after, before)| after - before)
                .collect();
            let found = (shown(&answer), traces.commits(), grown);
            let (is_first, expected) = (first.is_none(), first.get_or_insert_with(|| found.clone()));
            assert_eq!(&found, expected, "{path} {step} {body}");
            if is_first {
                briefs.push(answer.brief());
            }
        }
        app.advance(Duration::from_secs(*pause));
    }
    app.store_probe().let_commits_through();
    briefs
}

#[tokio::test]
async fn a_wrong_password_is_answered_alike_whoever_it_is_for() {
    let app = start().await;
    let names = [
        "active",
        "suspended",
        "bare",
        "nobody",
        "nobody@example.org",
        "no one",
    ];
    let bodies = names.map(|name| json!({"login": name, "password": "a noisy harbour"}));
    let counts = || app.count("SELECT count(*) FROM audit_counts");
    assert_eq!(counts(), 0);
    let briefs = assert_same(&app, "/v1/auth/login", &bodies, &[0, 0, 0, 0, 0, 0, 1, 0, 2, 0]).await;
    let (wrong, waits) = ("401 auth.invalid_credentials", "429 rate_limit.exceeded");
    assert_eq!(briefs[..5], [wrong; 5]);
    assert_eq!(
        briefs[5..],
        [waits, waits, wrong, waits, wrong].map(str::to_owned)[..]
    );
    assert_eq!(counts(), 6, "one for each, changed each time");
}

#[tokio::test]
async fn codes_and_resets_are_answered_alike_whoever_they_are_for() {
    let app = start().await;
    let names = ["active", "suspended", "bare", "nobody", "nothing"];
    let asked = names.map(|name| json!({"email": format!("{name}@example.org")}));
    let tried = names.map(|name| json!({"email": format!("{name}@example.org"), "otp": "000000"}));
    let (sent, early, wrong) = ("204 -", "429 auth.otp_rate_limited", "422 auth.otp_invalid");
    // Codes are tried before any was made, and then six times for each of three. Each step has a minute of its own and each
    // code an hour, so that the log has a row for each refusal.
    assert_eq!(
        assert_same(&app, "/v1/auth/email/otp/verify", &tried, &[0]).await,
        [wrong]
    );
    for _ in 0..3 {
        let briefs = assert_same(&app, "/v1/auth/email/otp/send", &asked, &[0, 60]).await;
        assert_eq!(briefs, [sent, early]);
        let briefs = assert_same(&app, "/v1/auth/email/otp/verify", &tried, &[0, 0, 0, 0, 0, 60]).await;
        assert_eq!(briefs, [wrong; 6]);
        let briefs = assert_same(&app, "/v1/auth/password/reset/send", &asked, &[0, 60]).await;
        assert_eq!(briefs, [sent, early]);
        app.advance(Duration::from_hours(1));
    }
}
