//! Arkloop's own web client from before March 2026, as a script: the calls in its order, with the bodies and headers that it sends.
//!
//! It sends no `null`: absent members are left out of its JSON. It asks only for codes of six digits, and its page for mailed links is
//! `/verify?token=`, which the operator sets in `[links]`.

use std::time::Duration;

use serde_json::{Value, json};

use super::mailed::{PAUSE, address};
use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, Request, TestApp};

/// A browser with the client in it.
struct Browser<'a> {
    app: &'a TestApp,
    /// The refresh cookie.
    cookie: Option<String>,
}

impl Browser<'_> {
    async fn call(&mut self, method: &str, path: &str, bearer: Option<&str>, body: Option<Value>) -> Answer {
        let request = self.app.request(method, path);
        let mut request = request
            .header("accept", "application/json")
            .header("x-client-app", "web")
            .header("sec-fetch-site", "same-origin");
        if let Some(access_token) = bearer {
            request = request.bearer(access_token);
        }
        if let (Some(cookie), true) = (&self.cookie, path.starts_with("/v1/auth")) {
            request = request.cookie(cookie);
        }
        let request: Request = match body {
            Some(body) => request.text("application/json", body.to_string()),
            None => request,
        };
        let answer = request.send().await;
        if answer.header("set-cookie").is_some() {
            self.cookie = Some(answer.cookie()).filter(|value| !value.is_empty());
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Value {
        let answer = self.call("GET", path, None, None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, Some(body)).await
    }

    /// What the client does when it is opened: a refresh without a body and, if that fails, requests for what the first page needs.
    async fn open(&mut self) -> Answer {
        let refreshed = self.call("POST", "/v1/auth/refresh", None, None).await;
        if refreshed.status != 200 {
            assert_eq!(refreshed.brief(), "401 auth.refresh_token_missing");
            assert_eq!(
                self.get("/v1/auth/registration-mode").await,
                json!({"mode": "invite_only"})
            );
            let captcha = self.get("/v1/auth/captcha-config").await;
            assert_eq!(captcha, json!({"enabled": false, "site_key": ""}));
        }
        refreshed
    }

    async fn check(&mut self, login: &str, exists: bool) {
        let answer = self.post("/v1/auth/check", json!({ "login": login })).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "exists": exists })));
    }

    async fn me(&mut self, access_token: &str) -> Value {
        let answer = self.call("GET", "/v1/me", Some(access_token), None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Registers with an invite, after asking whether the name is free.
    async fn register(&mut self) -> String {
        self.check("alice", false).await;
        let registration = json!({
            "login": "alice",
            "password": PASSWORD,
            "email": address("alice"),
            "locale": "zh",
            "invite_code": self.app.invite(1).await,
        });
        let registered = self.post("/v1/auth/register", registration).await;
        assert_eq!(registered.json()["warning"], Value::Null);
        signed_in(&registered, 201)
    }

    /// The page of the link confirms it twice, as React may render the page twice.
    async fn confirm(&mut self, token: &str) {
        for _ in 0..2 {
            let confirmed = self.post("/v1/auth/email/verify/confirm", json!({ "token": token }));
            let confirmed = confirmed.await;
            assert_eq!((confirmed.status, confirmed.json()), (200, json!({"ok": true})));
        }
    }

    /// After a wrong password the client tries to refresh, which fails, and shows the refusal.
    async fn sign_in_by_password(&mut self) -> String {
        self.check("alice", true).await;
        let wrong = json!({"login": "alice", "password": "letters and 1 digit"});
        let refused = self.post("/v1/auth/login", wrong).await;
        assert_eq!(refused.brief(), "401 auth.invalid_credentials");
        self.open().await;
        let login = json!({"login": "alice", "password": PASSWORD});
        signed_in(&self.post("/v1/auth/login", login).await, 200)
    }

    /// The client sends the one-time code as `code`.
    async fn sign_in_by_code(&mut self, smtp: &SmtpServer) -> String {
        let email = address("alice");
        self.check(&email, true).await;
        let sent = self
            .post("/v1/auth/email/otp/send", json!({ "email": email }))
            .await;
        assert_eq!(sent.brief(), "204 -");
        let code = smtp.mail_to(&email).await.code();
        assert_eq!(code.len(), 6);
        let entered = json!({"email": email, "code": code});
        signed_in(&self.post("/v1/auth/email/otp/verify", entered).await, 200)
    }

    async fn sign_out(&mut self, access_token: &str) {
        let answer = self
            .call("POST", "/v1/auth/logout", Some(access_token), None)
            .await;
        assert_eq!((answer.status, answer.json()), (200, json!({"ok": true})));
        assert_eq!(self.cookie, None);
    }
}

/// The token in the link of the next mail to alice, as the client's page reads it.
async fn token_in(smtp: &SmtpServer) -> String {
    let link = smtp.mail_to(&address("alice")).await.link();
    let token = link
        .split_once("/verify?token=")
        .map(|(_, token)| token.to_owned());
    token.unwrap_or_else(|| panic!("another page: {link}"))
}

/// The access token of an answer that the client takes for a sign-in.
fn signed_in(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["token_type"], "bearer");
    answer.access_token()
}

#[tokio::test]
async fn arkloops_web_client_from_before_march_2026_works_by_its_order_of_calls() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder()
        .limited()
        .smtp(&smtp)
        .set("LINKS__VERIFY", "{app_url}/verify?token={token}")
        .start()
        .await;
    let mut browser = Browser {
        app: &app,
        cookie: None,
    };

    browser.open().await;
    let access_token = browser.register().await;
    assert_eq!(browser.me(&access_token).await["email_verified"], false);
    token_in(&smtp).await;
    app.advance(PAUSE);
    let path = "/v1/auth/email/verify/send";
    let sent = browser.call("POST", path, Some(&access_token), None).await;
    assert_eq!(sent.brief(), "204 -");
    browser.confirm(&token_in(&smtp).await).await;
    assert_eq!(browser.me(&access_token).await["email_verified"], true);

    // The client is opened again after the access token has expired; the cookie gets it a new one.
    app.advance(Duration::from_mins(20));
    let late = browser.call("GET", "/v1/me", Some(&access_token), None).await;
    assert_eq!(late.brief(), "401 auth.token_expired");
    let access_token = signed_in(&browser.open().await, 200);
    browser.sign_out(&access_token).await;

    browser.open().await;
    let access_token = browser.sign_in_by_password().await;
    browser.sign_out(&access_token).await;

    let access_token = browser.sign_in_by_code(&smtp).await;
    assert_eq!(browser.me(&access_token).await["username"], "alice");
    let renamed = Some(json!({"username": "alice-w"}));
    let renamed = browser
        .call("PATCH", "/v1/me", Some(&access_token), renamed)
        .await;
    assert_eq!(renamed.json()["username"], "alice-w");
    browser.sign_out(&access_token).await;
}
