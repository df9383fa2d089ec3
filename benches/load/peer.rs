//! The servers that can be measured, and how each of them names the same requests.

use std::io;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::client::{Request, Response};

/// The password of the visitors' accounts. It is public, so no real account may have it.
const PASSWORD: &str = "measured, not kept secret";

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// This program
    Arkloop,
    /// `PocketBase`, with its collection `users`
    Pocketbase,
    /// better-auth, with sign-in by address and password
    BetterAuth,
}

impl Peer {
    /// Registers an account.
    pub(crate) fn register(self, login: &str) -> Request {
        let email = format!("{login}@example.org");
        match self {
            Self::Arkloop => post(
                "/v1/auth/register",
                &json!({"login": login, "email": email, "password": PASSWORD}),
            ),
            Self::Pocketbase => post(
                "/api/collections/users/records",
                &json!({"email": email, "password": PASSWORD, "passwordConfirm": PASSWORD}),
            ),
            Self::BetterAuth => post(
                "/api/auth/sign-up/email",
                &json!({"name": login, "email": email, "password": PASSWORD}),
            ),
        }
    }

    /// Whether a registration signs in, too.
    pub(crate) fn signs_in_at_registration(self) -> bool {
        self != Self::Pocketbase
    }

    /// Signs in by password.
    pub(crate) fn sign_in(self, login: &str) -> Request {
        let email = format!("{login}@example.org");
        match self {
            Self::Arkloop => post("/v1/auth/login", &json!({"login": login, "password": PASSWORD})),
            Self::Pocketbase => post(
                "/api/collections/users/auth-with-password",
                &json!({"identity": email, "password": PASSWORD}),
            ),
            Self::BetterAuth => post(
                "/api/auth/sign-in/email",
                &json!({"email": email, "password": PASSWORD}),
            ),
        }
    }

    /// Refreshes what an answer brought: a registration, a sign-in or a refresh. better-auth has no refresh; its session is read.
    pub(crate) fn refresh(self, answer: &Response) -> io::Result<Request> {
        match self {
            Self::Arkloop => Ok(Request::new(
                "POST",
                "/v1/auth/refresh",
                &[("Cookie", cookie(answer)?)],
                "",
            )),
            Self::Pocketbase => {
                let token = text(answer, "/token")?;
                let path = "/api/collections/users/auth-refresh";
                Ok(Request::new("POST", path, &[("Authorization", &token)], ""))
            }
            Self::BetterAuth => self.read(answer),
        }
    }

    /// Reads the own account with what an answer brought.
    pub(crate) fn read(self, answer: &Response) -> io::Result<Request> {
        let (path, field, value) = match self {
            Self::Arkloop => {
                let token = text(answer, "/access_token")?;
                ("/v1/me".to_owned(), "Authorization", format!("Bearer {token}"))
            }
            Self::Pocketbase => {
                let path = format!("/api/collections/users/records/{}", text(answer, "/record/id")?);
                (path, "Authorization", text(answer, "/token")?)
            }
            Self::BetterAuth => {
                let path = "/api/auth/get-session".to_owned();
                (path, "Cookie", cookie(answer)?.to_owned())
            }
        };
        Ok(Request::new("GET", &path, &[(field, &value)], ""))
    }

    /// Asks whether the server is alive.
    pub(crate) fn health(self) -> Request {
        let path = match self {
            Self::Arkloop => "/healthz",
            Self::Pocketbase => "/api/health",
            Self::BetterAuth => "/api/auth/ok",
        };
        Request::new("GET", path, &[], "")
    }
}

fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path, &[], &body.to_string())
}

fn cookie(answer: &Response) -> io::Result<&str> {
    let cookie = answer.cookie.as_deref();
    cookie.ok_or_else(|| io::Error::other("an answer set no cookie"))
}

fn text(answer: &Response, pointer: &str) -> io::Result<String> {
    let body: Value = serde_json::from_slice(&answer.body)?;
    let text = body.pointer(pointer).and_then(Value::as_str);
    let text = text.ok_or_else(|| io::Error::other(format!("an answer has no {pointer}")))?;
    Ok(text.to_owned())
}
