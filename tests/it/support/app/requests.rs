//! The requests of the tests to a running server.

use serde_json::{Value, json};

use super::{PASSWORD, TestApp};
use crate::support::{Answer, Request};

impl TestApp {
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address(), method, path)
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    pub fn patch(&self, path: &str) -> Request {
        self.request("PATCH", path)
    }

    pub fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }

    /// Registers `login` with an address derived from it and with [`PASSWORD`]. Fails if the server refuses.
    pub async fn register(&self, login: &str) -> Answer {
        let answer = self
            .post("/v1/auth/register")
            .json(&registration(login))
            .send()
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Tries to sign in.
    pub async fn login(&self, login: &str, password: &str) -> Answer {
        self.post("/v1/auth/login")
            .json(&json!({"login": login, "password": password}))
            .send()
            .await
    }

    /// Tries to sign in from `address`, through a proxy.
    pub async fn login_from(&self, address: &str, login: &str, password: &str) -> Answer {
        self.post("/v1/auth/login")
            .header("x-forwarded-for", address)
            .json(&json!({"login": login, "password": password}))
            .send()
            .await
    }

    /// Refreshes with a cookie.
    pub async fn refresh(&self, cookie: &str) -> Answer {
        self.post("/v1/auth/refresh").cookie(cookie).send().await
    }

    /// Asks for the account of an access token.
    pub async fn me(&self, access_token: &str) -> Answer {
        self.get("/v1/me").bearer(access_token).send().await
    }

    /// Asks for a code.
    pub async fn send_code(&self, email: &str) -> Answer {
        let body = json!({ "email": email });
        self.post("/v1/auth/email/otp/send").json(&body).send().await
    }

    /// Asks for a link to set a password.
    pub async fn send_reset(&self, email: &str) -> Answer {
        let body = json!({ "email": email });
        self.post("/v1/auth/password/reset/send").json(&body).send().await
    }

    /// Tries to sign in with a code.
    pub async fn verify_code(&self, email: &str, code: &str) -> Answer {
        let body = json!({"email": email, "otp": code});
        self.post("/v1/auth/email/otp/verify").json(&body).send().await
    }
}

/// The body of a valid registration.
pub fn registration(login: &str) -> Value {
    json!({"login": login, "password": PASSWORD, "email": format!("{login}@example.org")})
}
