//! Noise in the audit log: no flood of refusals, of any kind and from anywhere, hides the guesses at an account.
//!
//! The log is read as the operator reads it, by `audit --user` and `explain`.

use std::time::Duration;

use arkloop::domain::{AuditReason, Client, TraceId};
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Request, TestApp};

/// More than the budget of any account or network for a minute.
const FLOOD: u32 = 130;
const GUESSES: u64 = 3;
const MINUTE: Duration = Duration::from_mins(1);

/// A server behind a proxy, with the accounts `mallory` and `victim`, on which wrong passwords do not make the next one wait.
struct Stage {
    app: TestApp,
    /// An access token of mallory's.
    token: String,
    /// The refresh cookie of a session of mallory's that has ended.
    cookie: String,
}

impl Stage {
    async fn set() -> Self {
        Self::of(TestApp::builder().set("RATE_LIMIT__ENABLED", "false").open()).await
    }

    async fn of(builder: crate::support::Builder) -> Self {
        let app = builder
            .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
            .start()
            .await;
        app.register("victim").await;
        let ended = app.register("mallory").await;
        let logout = app.post("/v1/auth/logout").bearer(&ended.access_token());
        assert_eq!(logout.send().await.status, 200);
        let token = app.login("mallory", PASSWORD).await.access_token();
        let stage = Self {
            app,
            token,
            cookie: ended.cookie(),
        };
        stage.app.advance(MINUTE);
        stage
    }

    /// A wrong password for `login` from `address`.
    async fn guess(&self, login: &str, address: &str) -> Answer {
        let request = self.app.post("/v1/auth/login").header("x-forwarded-for", address);
        let body = json!({"login": login, "password": "a wrong password"});
        request.json(&body).send().await
    }

    async fn guess_at_the_victim(&self, address: &str) {
        for _ in 0..GUESSES {
            let answer = self.guess("victim", address).await;
            assert_eq!(answer.brief(), "401 auth.invalid_credentials");
        }
    }

    /// What `audit` shows of a user.
    async fn audit(&self, user: &str) -> Vec<Value> {
        self.app.service().flush_audit().await.expect("it is written");
        let rows = self.app.workspace().json(&["audit", "--user", user]);
        rows.as_array().expect("it is a list").clone()
    }

    /// How many events `audit` counts with one reason.
    async fn times(&self, user: &str, reason: &str) -> u64 {
        let rows = self.audit(user).await;
        let rows = rows.iter().filter(|row| row["reason"] == reason);
        rows.filter_map(|row| row["times"].as_u64()).sum()
    }

    /// What `explain` shows of a user.
    async fn explain(&self, user: &str) -> String {
        self.app.service().flush_audit().await.expect("it is written");
        self.app.workspace().json(&["explain", user]).to_string()
    }

    /// Each kind of noise that mallory can make from one network, once.
    fn noise(&self) -> Vec<(&'static str, Request)> {
        let app = &self.app;
        let by_mallory = |request: Request| request.bearer(&self.token);
        let taken = json!({"username": "victim"});
        let wrong = json!({"current_password": "a wrong password", "new_password": "another harbour"});
        let code = json!({"email": "mallory@example.org", "otp": "000000"});
        let nobody = json!({"login": "nobody", "password": "a wrong password"});
        let registration = json!({"login": "victim", "email": "new@example.org", "password": PASSWORD});
        let link = json!({"token": "A".repeat(43)});
        let reset = json!({"token": "A".repeat(43), "new_password": "another harbour"});
        vec![
            ("a taken name", by_mallory(app.patch("/v1/me")).json(&taken)),
            (
                "a wrong present password",
                by_mallory(app.post("/v1/auth/password/change")).json(&wrong),
            ),
            ("a wrong code", app.post("/v1/auth/email/otp/verify").json(&code)),
            ("an unknown name", app.post("/v1/auth/login").json(&nobody)),
            (
                "a taken registration",
                app.post("/v1/auth/register").json(&registration),
            ),
            (
                "an unknown link",
                app.post("/v1/auth/email/verify/confirm").json(&link),
            ),
            (
                "an unknown reset",
                app.post("/v1/auth/password/reset/confirm").json(&reset),
            ),
            (
                "a session that is not there",
                by_mallory(app.delete("/v1/auth/sessions/0197b8f0-0000-7000-8000-000000000000")),
            ),
            ("ending no sessions", by_mallory(app.delete("/v1/auth/sessions"))),
            (
                "another verification mail",
                by_mallory(app.post("/v1/auth/email/verify/send")),
            ),
            (
                "an ended session",
                app.post("/v1/auth/refresh").cookie(&self.cookie),
            ),
            ("no cookie", app.post("/v1/auth/refresh")),
        ]
    }

    async fn flood(&self, what: &str, address: &str) {
        for _ in 0..FLOOD {
            let mut noise = self.noise().into_iter();
            let (_, request) = noise.find(|(name, _)| *name == what).expect("it is listed");
            let answer = request.header("x-forwarded-for", address).send().await;
            assert!(answer.status < 500, "{what}: {answer:?}");
        }
    }
}

/// Every flood comes from the network of the guesses, so that this network has spent its share.
#[tokio::test]
async fn guesses_show_whatever_noise_comes_before_and_after() {
    let stage = Stage::set().await;
    let kinds: Vec<&str> = stage.noise().iter().map(|(name, _)| *name).collect();
    let mut guesses = 0;
    for kind in kinds {
        stage.flood(kind, "198.51.100.7").await;
        stage.guess_at_the_victim("198.51.100.7").await;
        stage.flood(kind, "198.51.100.7").await;
        guesses += GUESSES;
        let found = stage.times("victim", "wrong_password").await;
        assert!(found >= guesses, "{kind}: {found} of {guesses}");
        let told = stage.explain("victim").await;
        assert!(told.contains("the password was wrong"), "{kind}: {told}");
        stage.app.advance(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn a_flood_by_one_account_takes_no_row_from_another() {
    let stage = Stage::set().await;
    for (kind, _) in stage.noise() {
        stage.flood(kind, "198.51.100.7").await;
        stage.guess_at_the_victim("203.0.113.9").await;
        let rows = stage.audit("victim").await;
        let own = rows.iter().filter(|row| {
            row["reason"] == "wrong_password" && row["ip"] == "203.0.113.9" && row["trace_id"].is_string()
        });
        assert_eq!(own.count() as u64, GUESSES, "{kind}");
        stage.app.advance(Duration::from_hours(91 * 24));
        stage.app.service().sweep().await.expect("it sweeps");
    }
}

impl Stage {
    /// Lets many accounts and many networks spend the common budget of this minute.
    async fn spend_everything(&self) {
        for number in 0..40 {
            let login = format!("crowd{}", number % 10);
            if number < 10 && self.app.login(&login, PASSWORD).await.status == 401 {
                self.app.register(&login).await;
            }
            for _ in 0..5 {
                self.guess(&login, &format!("192.0.2.{number}")).await;
            }
        }
    }
}

#[tokio::test]
async fn guesses_are_counted_under_the_account_when_every_budget_is_spent() {
    let mut stage = Stage::set().await;
    stage.spend_everything().await;
    stage.guess_at_the_victim("203.0.113.9").await;
    stage.app.restart().await;
    stage.app.advance(MINUTE);
    stage.spend_everything().await;
    stage.guess_at_the_victim("2001:db8:1:2:3::4").await;
    stage.spend_everything().await;
    let rows = stage.audit("victim").await;
    let rows: Vec<&Value> = rows
        .iter()
        .filter(|row| row["reason"] == "wrong_password")
        .collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = |key: &str| rows[0][key].clone();
    let shown = [
        "event", "result", "at", "last_at", "times", "username", "ip", "id", "trace_id",
    ]
    .map(row);
    assert_eq!(
        json!(shown),
        json!([
            "sign_in.password",
            "refused",
            "2026-01-01T00:01:00Z",
            "2026-01-01T00:02:00Z",
            6,
            "victim",
            "2001:db8:1:2::",
            null,
            null
        ])
    );
    let told = stage.explain("victim").await;
    let sentence = "A sign-in by password was refused: the password was wrong; the last from 2001:db8:1:2::; 6 times since 2026-01-01T00:01:00Z.";
    assert!(told.contains(sentence), "{told}");
    // The count also shows when the operator asks for the whole log, or for the address.
    let whole = stage
        .app
        .workspace()
        .json(&["audit", "--event", "sign_in"])
        .to_string();
    assert!(whole.contains("2001:db8:1:2::"), "{whole}");
    let told = stage.explain("2001:db8:1:2:3::4").await;
    assert!(told.contains("as victim"), "{told}");
}

#[tokio::test]
async fn many_networks_at_one_account_hide_no_other_kind_of_guess() {
    let stage = Stage::set().await;
    let code = json!({"email": "victim@example.org", "otp": "000000"});
    let request = stage.app.post("/v1/auth/email/otp/verify");
    let answer = request
        .header("x-forwarded-for", "203.0.113.9")
        .json(&code)
        .send()
        .await;
    assert_eq!(answer.brief(), "422 auth.otp_invalid");
    // More rows of the account itself than are ever shown.
    for minute in 0..600_u32 {
        stage.app.advance(MINUTE);
        stage.guess("victim", &format!("192.0.2.{}", minute % 200)).await;
    }
    assert!(stage.times("victim", "no_code").await >= 1);
    let told = stage.explain("victim").await;
    assert!(
        told.contains("no code had been asked for") && told.contains("203.0.113.9"),
        "{told}"
    );
}

#[tokio::test]
async fn guesses_that_had_to_wait_show_under_their_account_whatever_else_is_slowed_down() {
    let stage = Stage::of(TestApp::builder().open()).await;
    for number in 0..400_u32 {
        let address = Some(std::net::Ipv4Addr::from(0xc633_6400 + number * 0x1_0000).into());
        let client = Client::new(address, None, TraceId([0; 16]));
        stage
            .app
            .service()
            .note_throttled(&client, AuditReason::AddressLimit);
    }
    for _ in 0..5 {
        stage.guess("victim", "203.0.113.9").await;
        stage.guess("stranger", "203.0.113.9").await;
    }
    for login in ["victim", "stranger"] {
        for _ in 0..GUESSES {
            assert_eq!(stage.guess(login, "203.0.113.9").await.status, 429);
        }
        assert_eq!(stage.times(login, "account_limit").await, GUESSES, "{login}");
    }
}

/// How many rows of its own a reason has.
async fn own_rows(stage: &Stage, reason: &str) -> usize {
    let rows = stage.audit("mallory").await;
    let own = rows
        .iter()
        .filter(|row| row["reason"] == reason && row["trace_id"].is_string());
    own.count()
}

#[tokio::test]
async fn what_was_never_committed_spends_no_budget() {
    let stage = Stage::set().await;
    stage.app.store_probe().on_commit(|| false);
    for _ in 0..=1000 / FLOOD {
        for _ in 0..FLOOD {
            let path = "/v1/auth/sessions/0197b8f0-0000-7000-8000-000000000000";
            let answer = stage.app.delete(path).bearer(&stage.token).send().await;
            assert_eq!(answer.brief(), "503 service.unavailable");
        }
    }
    stage.app.store_probe().let_commits_through();
    assert_eq!(own_rows(&stage, "no_such_session").await, 0);
    stage.flood("a session that is not there", "198.51.100.7").await;
    assert_eq!(
        own_rows(&stage, "no_such_session").await,
        20,
        "the whole budget of a minute is left"
    );
    assert_eq!(
        stage.times("mallory", "no_such_session").await,
        u64::from(FLOOD) + 20
    );
}

#[tokio::test]
async fn a_count_stays_as_long_as_its_last_refusal_is_young() {
    let stage = Stage::set().await;
    let (day, count) = (
        Duration::from_hours(24),
        "SELECT count(*) FROM audit_counts WHERE username = 'victim'",
    );
    stage.guess_at_the_victim("203.0.113.9").await;
    for _ in 0..2 {
        stage.app.advance(60 * day);
        stage.guess_at_the_victim("203.0.113.9").await;
        stage.app.service().sweep().await.expect("it sweeps");
        assert_eq!(stage.app.count(count), 1);
    }
    let rows = stage.audit("victim").await;
    assert!(
        rows.iter().all(|row| row["id"].is_number()),
        "all that is left has rows: {rows:?}"
    );
    stage.app.advance(89 * day);
    stage.app.service().sweep().await.expect("it sweeps");
    assert_eq!(stage.app.count(count), 1);
    stage.app.advance(2 * day);
    stage.app.service().sweep().await.expect("it sweeps");
    assert_eq!(stage.app.count("SELECT count(*) FROM audit_counts"), 0);
}

#[tokio::test]
async fn a_follower_sees_guesses_that_have_no_row_of_their_own() {
    let stage = Stage::set().await;
    stage.spend_everything().await;
    let workspace = std::sync::Arc::clone(stage.app.workspace());
    let mut follower = workspace.follow(&["audit", "--follow", "--user", "victim"]);
    assert_eq!(follower.line()["event"], "register");
    for times in 1..=2 {
        stage.guess("victim", "203.0.113.9").await;
        let (line, back) = tokio::task::spawn_blocking(move || (follower.line(), follower))
            .await
            .expect("it reads");
        follower = back;
        assert_eq!(
            (&line["reason"], &line["times"], &line["ip"]),
            (&json!("wrong_password"), &json!(times), &json!("203.0.113.9"))
        );
    }
    assert_eq!(follower.interrupt().code(), Some(0));
}

#[tokio::test]
async fn what_happened_to_an_account_that_is_gone_stays_known() {
    let stage = Stage::set().await;
    stage.spend_everything().await;
    stage.guess_at_the_victim("203.0.113.9").await;
    let service = stage.app.service();
    let victim = arkloop::service::UserRef::parse("victim");
    service.delete_user(victim).await.expect("it is there");
    assert_eq!(stage.times("victim", "wrong_password").await, GUESSES);
}
