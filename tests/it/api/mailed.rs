//! Mailed codes and links, as the reader of the mail gets them.

use std::time::Duration;

use serde_json::json;

use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, TestApp, registration};

/// A new password that is accepted, for tests that only need one.
pub const NEW_PASSWORD: &str = "a louder harbour";
/// The minimum time between two mails to one address.
pub const PAUSE: Duration = Duration::from_mins(1);

/// The address that [`registration`] uses for a login.
pub fn address(login: &str) -> String {
    format!("{login}@example.org")
}

/// A server with open registration, and the mail server that gets its mails.
pub struct Mailed {
    pub app: TestApp,
    pub smtp: SmtpServer,
}

impl Mailed {
    pub async fn start() -> Self {
        let smtp = SmtpServer::start();
        let app = TestApp::builder().open().smtp(&smtp).start().await;
        Self { app, smtp }
    }

    /// Registers an account; returns the answer and the token of the link to verify the address. Advances the clock so that the next mail may be asked for.
    pub async fn register(&self, login: &str) -> (Answer, String) {
        let answer = self.app.register(login).await;
        let token = self.token_to(login).await;
        self.app.advance(PAUSE);
        (answer, token)
    }

    /// Registers an account and verifies its address.
    pub async fn register_verified(&self, login: &str) -> Answer {
        let (answer, token) = self.register(login).await;
        let confirmed = self.verify("confirm", &token).await;
        assert_eq!(confirmed.brief(), "200 -");
        answer
    }

    /// The token in the next mail to the address of `login`.
    pub async fn token_to(&self, login: &str) -> String {
        self.smtp.mail_to(&address(login)).await.token()
    }

    /// Posts a JSON body without an access token.
    pub async fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        self.app.post(path).json(&body).send().await
    }

    /// Asks for a code.
    pub async fn send_code(&self, login: &str) -> Answer {
        self.post("/v1/auth/email/otp/send", json!({"email": address(login)}))
            .await
    }

    /// Asks for a code and reads it in the mail.
    pub async fn code_to(&self, login: &str) -> String {
        assert_eq!(self.send_code(login).await.brief(), "204 -");
        self.smtp.mail_to(&address(login)).await.code()
    }

    /// Tries to sign in with a code.
    pub async fn sign_in(&self, login: &str, code: &str) -> Answer {
        self.post(
            "/v1/auth/email/otp/verify",
            json!({"email": address(login), "otp": code}),
        )
        .await
    }

    /// Asks for a link to verify the caller's address.
    pub async fn send_verification(&self, access_token: &str) -> Answer {
        let request = self.app.post("/v1/auth/email/verify/send");
        request.bearer(access_token).send().await
    }

    /// Sends the token of a verification link to `what`: preview, confirm or reject.
    pub async fn verify(&self, what: &str, token: &str) -> Answer {
        self.post(&format!("/v1/auth/email/verify/{what}"), json!({"token": token}))
            .await
    }

    /// Asks for a link to set a password.
    pub async fn send_reset(&self, login: &str) -> Answer {
        self.post("/v1/auth/password/reset/send", json!({"email": address(login)}))
            .await
    }

    /// Asks for a link to set a password and reads its token in the mail.
    pub async fn reset_token_to(&self, login: &str) -> String {
        assert_eq!(self.send_reset(login).await.brief(), "204 -");
        self.token_to(login).await
    }

    /// Asks what a link to set a password is about.
    pub async fn preview_reset(&self, token: &str) -> Answer {
        self.post("/v1/auth/password/reset/preview", json!({"token": token}))
            .await
    }

    /// Sets a password through a link.
    pub async fn reset(&self, token: &str, password: &str) -> Answer {
        self.post(
            "/v1/auth/password/reset/confirm",
            json!({"token": token, "new_password": password}),
        )
        .await
    }

    /// Asserts that the stranger who registered the account, with the answer `signed_in`, has no access to it any more.
    pub async fn assert_shut_out(&self, login: &str, signed_in: &Answer) {
        let by_password = self.app.login(login, PASSWORD).await;
        assert_eq!(by_password.brief(), "401 auth.invalid_credentials");
        let by_access_token = self.app.me(&signed_in.access_token()).await;
        assert_eq!(by_access_token.brief(), "401 auth.invalid_token");
        let by_refresh_token = self.app.refresh(&signed_in.cookie()).await;
        assert_eq!(by_refresh_token.brief(), "401 auth.invalid_token");
    }
}

/// How long a client must wait according to an answer.
pub fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.header("retry-after").expect("it says when");
    Duration::from_secs(seconds.parse().expect("it is a number"))
}

/// Asks repeatedly, each time after the wait that the last answer named. Returns the seconds waited before each of the first `times` granted requests.
pub async fn waits_between(app: &TestApp, times: usize, ask: impl AsyncFn() -> Answer) -> Vec<u64> {
    let mut waits = Vec::new();
    let mut waited = Duration::ZERO;
    while waits.len() < times {
        let answer = ask().await;
        if answer.status == 204 {
            waits.push(waited.as_secs());
            waited = Duration::ZERO;
            continue;
        }
        assert_eq!(answer.brief(), "429 auth.otp_rate_limited");
        assert_eq!(answer.json()["details"]["limit"], "address");
        let wait = retry_after(&answer);
        // A second earlier is too early.
        app.advance(wait.saturating_sub(Duration::from_secs(1)));
        assert_eq!(ask().await.brief(), "429 auth.otp_rate_limited");
        app.advance(Duration::from_secs(1));
        waited += wait;
    }
    waits
}

/// What [`waits_between`] returns for a budget of one a minute, five an hour and ten a day.
pub const WAITS: [u64; 12] = [
    0, 60, 60, 60, 60, 3_360, 60, 60, 60, 60, // ten
    82_560, 60,
];

/// A registration of `login` with the address of `owner`.
pub fn registration_with_address_of(login: &str, owner: &str) -> serde_json::Value {
    let mut body = registration(login);
    body["email"] = json!(address(owner));
    body
}

/// A code that is not `code`.
pub fn other_than(code: &str) -> &'static str {
    if code == "123456" { "654321" } else { "123456" }
}
