//! A server and its mailboxes, for tests of changes of the address: requests as a client sends them, and the mails that arrive.

use std::time::Duration;

use serde_json::json;

use super::smtp::{ReceivedMail, SmtpServer};
use super::{Answer, Builder, PASSWORD, TestApp};

/// How long an account must have had an address before the address gets an undo.
pub const HELD: Duration = Duration::from_hours(72);
/// How long two mails to one mailbox are apart.
const PAUSE: Duration = Duration::from_mins(1);

pub const ASKED: &str = "localhost: Confirm your new e-mail address";
pub const REQUESTED: &str = "localhost: Your account is to get another address";
pub const WANTED: &str = "localhost: Another account asked for your address";
pub const CHANGED: &str = "localhost: The address of your account was changed";
pub const UNDONE: &str = "localhost: Your address is back: set a new password";

/// A server with open registration, and the mail server that receives its mails.
pub struct Mover {
    pub app: TestApp,
    pub smtp: SmtpServer,
}

impl Mover {
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    /// The same with other settings.
    pub async fn start_with(set: impl FnOnce(Builder) -> Builder) -> Self {
        let smtp = SmtpServer::start();
        let app = set(TestApp::builder().open().smtp(&smtp)).start().await;
        Self { app, smtp }
    }

    /// Registers `login`, who verifies `login@example.org`, and signs in again when the account has had it for `held`.
    pub async fn verified(&self, login: &str, held: Duration) -> Answer {
        self.app.register(login).await;
        let address = format!("{login}@example.org");
        let token = self.smtp.mail_to(&address).await.token();
        assert_eq!(self.verify("confirm", &token).await.brief(), "200 -");
        self.app.advance(held.max(PAUSE));
        self.signed_in(login).await
    }

    /// Signs in by the password of every test.
    pub async fn signed_in(&self, login: &str) -> Answer {
        let answer = self.app.login(login, PASSWORD).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// The next mail to `address` with this subject; others before it are read over.
    pub async fn mail(&self, address: &str, subject: &str) -> ReceivedMail {
        loop {
            let mail = self.smtp.mail_to(address).await;
            if mail.message().subject() == Some(subject) {
                return mail;
            }
        }
    }

    /// The subjects of all mails to `address` so far, once none waits.
    pub async fn subjects(&self, address: &str) -> Vec<String> {
        self.app.wait_for_empty_outbox().await;
        let received = self.smtp.received().into_iter();
        let to = received.filter(|mail| mail.recipients.iter().any(|to| to == address));
        to.map(|mail| mail.message().subject().unwrap_or_default().to_owned())
            .collect()
    }

    /// How many mails with an undo `address` was sent so far.
    pub async fn undos_to(&self, address: &str) -> usize {
        self.app.wait_for_empty_outbox().await;
        let received = self.smtp.received().into_iter();
        let to = received.filter(|mail| mail.recipients.iter().any(|to| to == address));
        to.filter(|mail| mail.text().contains("#undo=")).count()
    }

    /// Posts a JSON body without an access token.
    pub async fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        self.app.post(path).json(&body).send().await
    }

    /// Asks for a change of the address of `caller` to `new`, by the password of every test.
    pub async fn ask(&self, caller: &Answer, new: &str) -> Answer {
        self.ask_with(caller, json!({"new_email": new, "current_password": PASSWORD}))
            .await
    }

    /// Asks with any body.
    pub async fn ask_with(&self, caller: &Answer, body: serde_json::Value) -> Answer {
        let request = self.app.post("/v1/auth/email/change").json(&body);
        request.bearer(&caller.access_token()).send().await
    }

    /// Asks, and reads the token in the mail to the new address. A minute later the next mail may be asked for.
    pub async fn token_to(&self, caller: &Answer, new: &str) -> String {
        assert_eq!(self.ask(caller, new).await.brief(), "204 -");
        let token = self.mail(new, ASKED).await.token();
        self.app.advance(PAUSE);
        token
    }

    /// Confirms by the session of `caller`, with its cookie.
    pub async fn confirm_by(&self, caller: &Answer, token: &str) -> Answer {
        let request = self.app.post("/v1/auth/email/change/confirm");
        let request = request.json(&json!({ "token": token })).cookie(&caller.cookie());
        request.bearer(&caller.access_token()).send().await
    }

    /// Confirms by a password.
    pub async fn confirm_with(&self, password: &str, token: &str) -> Answer {
        let body = json!({"token": token, "current_password": password});
        self.post("/v1/auth/email/change/confirm", body).await
    }

    /// Moves the account of `caller` to `new`; the answer has the new cookie.
    pub async fn move_to(&self, caller: &Answer, new: &str) -> Answer {
        let token = self.token_to(caller, new).await;
        let moved = self.confirm_by(caller, &token).await;
        assert_eq!(moved.brief(), "200 -", "{moved:?}");
        moved
    }

    /// The token in the next mail to `address` that the address was changed.
    pub async fn undo_token(&self, address: &str) -> String {
        self.mail(address, CHANGED).await.token()
    }

    /// Undoes a change.
    pub async fn undo(&self, token: &str) -> Answer {
        self.post("/v1/auth/email/change/undo", json!({ "token": token }))
            .await
    }

    /// Asks what a link about a change would do.
    pub async fn preview(&self, token: &str) -> Answer {
        self.post("/v1/auth/email/change/preview", json!({ "token": token }))
            .await
    }

    /// Does `what` with a token as if it were one of a verification link.
    pub async fn verify(&self, what: &str, token: &str) -> Answer {
        self.post(
            &format!("/v1/auth/email/verify/{what}"),
            json!({ "token": token }),
        )
        .await
    }

    /// Sets a password through a link.
    pub async fn reset(&self, token: &str, password: &str) -> Answer {
        let body = json!({"token": token, "new_password": password});
        self.post("/v1/auth/password/reset/confirm", body).await
    }

    /// The address of the account that `caller` is signed in to.
    pub async fn address_of(&self, caller: &Answer) -> String {
        let me = self.app.me(&caller.access_token()).await.json();
        me["email"].as_str().expect("it is signed in").to_owned()
    }

    /// The address that the account `login` has in the database.
    pub fn stored_address(&self, login: &str) -> String {
        self.app
            .text(&format!("SELECT email FROM users WHERE username = '{login}'"))
    }

    /// How many undos live.
    pub fn living_undos(&self) -> i64 {
        self.app.count("SELECT count(*) FROM email_undos")
    }
}
