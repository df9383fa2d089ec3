//! Arkloop's own web client of 2026, as a script: the calls in its order, with the bodies and the headers that its development server passes on.
//!
//! That server hands `/v1` on to this one and rewrites `Host`; the browser still says that the request comes from a page of the same origin. The client sends
//! no `null`: what is not there is left out of its JSON.

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::mailed::address;
use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, TestApp};

/// Where the development server of the client is.
const APP_URL: &str = "http://localhost:19081";

/// A server that is configured for the client as docs/integrate.md says.
async fn start(smtp: &SmtpServer) -> TestApp {
    TestApp::builder()
        .limited()
        .smtp(smtp)
        .set("SERVER__APP_URL", APP_URL)
        .set("SERVER__ARKLOOP_CLIENT", "true")
        .start()
        .await
}

/// A browser with the client in each of its tabs.
struct Browser<'a> {
    app: &'a TestApp,
    /// The refresh cookie, which the tabs share.
    cookie: Mutex<Option<String>>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a TestApp) -> Self {
        let cookie = Mutex::default();
        Self { app, cookie }
    }

    async fn call(&self, method: &str, path: &str, bearer: Option<&str>, body: Option<Value>) -> Answer {
        let request = self.app.request(method, path);
        let mut request = request
            .header("accept", "application/json")
            .header("x-client-app", "web")
            .header("origin", APP_URL)
            .header("sec-fetch-site", "same-origin");
        if let Some(access_token) = bearer {
            request = request.bearer(access_token);
        }
        let cookie = self.cookie.lock().clone();
        if let (Some(cookie), true) = (cookie, path.starts_with("/v1/auth")) {
            request = request.cookie(&cookie);
        }
        if let Some(body) = body {
            request = request.text("application/json", body.to_string());
        }
        let answer = request.send().await;
        if answer.header("set-cookie").is_some() {
            *self.cookie.lock() = Some(answer.cookie()).filter(|value| !value.is_empty());
        }
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, None, None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, Some(body)).await
    }

    async fn refresh(&self) -> Answer {
        self.call("POST", "/v1/auth/refresh", None, None).await
    }

    /// What the client does when it is opened and nobody is signed in. It takes a 429 or 5xx for a server that is down.
    async fn open(&self) {
        assert_eq!(self.refresh().await.brief(), "401 auth.refresh_token_missing");
        let captcha = self.get("/v1/auth/captcha-config").await;
        assert_eq!(captcha, json!({"enabled": false, "site_key": ""}));
        let mode = self.get("/v1/auth/registration-mode").await;
        assert_eq!(mode, json!({"mode": "invite_only"}));
    }

    async fn resolve(&self, identity: &str) -> Value {
        let answer = self
            .post("/v1/auth/resolve", json!({ "identity": identity }))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// What the client does with each access token of a sign-in.
    async fn go_on(&self, signed_in: &Answer) -> String {
        assert_eq!(signed_in.json()["token_type"], "bearer", "{signed_in:?}");
        let access_token = signed_in.access_token();
        let me = self.call("GET", "/v1/me", Some(&access_token), None).await;
        assert_eq!(me.json()["username"], "alice");
        // The client reads these as well, and takes their absence for `false`.
        for absent in ["email_verification_required", "work_enabled", "account_timezone"] {
            assert_eq!(me.json().get(absent), None);
        }
        let timezone = json!({"timezone": "Europe/Berlin"});
        let patched = self.call("PATCH", "/v1/me", Some(&access_token), Some(timezone));
        assert_eq!(patched.await.json()["timezone"], "Europe/Berlin");
        access_token
    }

    /// An unknown name leads to the form for registering, which asks for an invite code.
    async fn register(&self) -> String {
        let resolved = self.resolve("alice").await;
        assert_eq!(resolved["next_step"], "register");
        assert_eq!(resolved["invite_required"], true);
        let registration = json!({
            "login": resolved["prefill"]["login"],
            "password": PASSWORD,
            "email": address("alice"),
            "locale": "zh",
            "invite_code": self.app.invite(1).await,
        });
        let registered = self.post("/v1/auth/register", registration).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        self.go_on(&registered).await
    }

    async fn sign_in_by_password(&self) -> String {
        let resolved = self.resolve("Alice").await;
        assert_eq!(resolved["next_step"], "password");
        let login = &resolved["prefill"]["login"];
        let wrong = json!({"login": login, "password": "letters and 1 digit"});
        let refused = self.post("/v1/auth/login", wrong).await;
        assert_eq!(refused.brief(), "401 auth.invalid_credentials");
        // It refreshes after each 401, in vain here, and shows the refusal.
        assert_eq!(self.refresh().await.brief(), "401 auth.refresh_token_missing");
        let right = json!({"login": login, "password": PASSWORD});
        let signed_in = self.post("/v1/auth/login", right).await;
        self.go_on(&signed_in).await
    }

    async fn sign_in_by_code(&self, smtp: &SmtpServer) -> String {
        let resolved = self.resolve("Alice@Example.org").await;
        assert_eq!(resolved["next_step"], "password");
        assert_eq!(resolved["otp_available"], true);
        assert_eq!(resolved["masked_email"], "a***@e***");
        let flow_token = &resolved["flow_token"];
        let sent = self
            .post("/v1/auth/resolve/otp/send", json!({ "flow_token": flow_token }))
            .await;
        assert_eq!(sent.brief(), "204 -");
        let code = smtp.mail_to(&address("alice")).await.code();
        // Its form has room for six digits.
        assert_eq!(code.len(), 6);
        let entered = json!({ "flow_token": flow_token, "code": code });
        let signed_in = self.post("/v1/auth/resolve/otp/verify", entered).await;
        self.go_on(&signed_in).await
    }

    async fn sign_out(&self, access_token: &str) {
        let signed_out = self.call("POST", "/v1/auth/logout", Some(access_token), None);
        assert_eq!(signed_out.await.json(), json!({"ok": true}));
        assert_eq!(*self.cookie.lock(), None);
    }
}

#[tokio::test]
async fn arkloops_web_client_of_2026_gets_in_by_password_code_and_registration() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    let browser = Browser::new(&app);

    browser.open().await;
    let access_token = browser.register().await;
    let link = smtp.mail_to(&address("alice")).await.link();
    let token = link.strip_prefix("http://localhost:19081/verify?token=");
    let token = token.unwrap_or_else(|| panic!("another page: {link}"));
    // In development React renders the page of the link twice.
    for _ in 0..2 {
        let confirmed = browser.post("/v1/auth/email/verify/confirm", json!({ "token": token }));
        assert_eq!(confirmed.await.json(), json!({"ok": true}));
    }
    browser.sign_out(&access_token).await;

    browser.open().await;
    let access_token = browser.sign_in_by_password().await;
    browser.sign_out(&access_token).await;

    browser.open().await;
    let access_token = browser.sign_in_by_code(&smtp).await;
    // Opened again after the access token has expired, it goes on with the cookie.
    app.advance(Duration::from_mins(20));
    let late = browser.call("GET", "/v1/me", Some(&access_token), None).await;
    assert_eq!(late.brief(), "401 auth.token_expired");
    let refreshed = browser.refresh().await;
    browser.go_on(&refreshed).await;
}

#[tokio::test]
async fn the_other_links_lead_to_the_built_in_pages() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    let browser = Browser::new(&app);
    browser.register().await;
    smtp.mail_to(&address("alice")).await;
    let sent = browser.post("/v1/auth/password/reset/send", json!({"email": address("alice")}));
    assert_eq!(sent.await.brief(), "204 -");
    let link = smtp.mail_to(&address("alice")).await.link();
    assert!(link.starts_with("http://localhost:8080/reset#token="), "{link}");
    assert_eq!(app.get("/reset").send().await.status, 200);
}

#[tokio::test]
async fn its_two_tabs_cannot_sign_each_other_out() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    let browser = Browser::new(&app);
    browser.register().await;
    for round in 0..10 {
        let (one, other) = tokio::join!(browser.refresh(), browser.refresh());
        for refreshed in [one, other] {
            browser.go_on(&refreshed).await;
        }
        for _ in 0..2 {
            let refreshed = browser.refresh().await;
            browser.go_on(&refreshed).await;
        }
        // Within the grace of the last refresh, and after it.
        let pause = if round % 2 == 0 { 5 } else { 60 };
        app.advance(Duration::from_secs(pause));
    }
}

#[tokio::test]
async fn paths_that_this_server_does_not_have_are_404_never_401() {
    let smtp = SmtpServer::start();
    let app = start(&smtp).await;
    let browser = Browser::new(&app);
    let access_token = browser.register().await;
    for path in [
        "/v1/threads",
        "/v1/threads/019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17/messages",
        "/v1/me/usage",
        "/v1/me/credits",
        "/v1/orgs/me",
        "/v1/notifications",
        "/v1/auth/setup",
        "/v1/bootstrap/verify",
    ] {
        for bearer in [None, Some("forged"), Some(access_token.as_str())] {
            for method in ["GET", "POST", "PATCH"] {
                let answer = browser.call(method, path, bearer, None).await;
                assert_eq!(answer.brief(), "404 http.not_found", "{method} {path}");
            }
        }
    }
}
