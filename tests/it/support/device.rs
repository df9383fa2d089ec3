//! A browser at an address, for tests of copied and planted refresh cookies.

use std::sync::Arc;

use super::{Answer, Request, TestApp};

/// A server that trusts `X-Forwarded-For`, with registration open.
pub async fn behind_a_proxy() -> TestApp {
    TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await
}

/// A browser with the user agent `agent` at `address`.
#[derive(Clone)]
pub struct Device {
    address: Arc<str>,
    agent: Arc<str>,
}

impl Device {
    pub fn new(address: &str, agent: &str) -> Self {
        Self {
            address: address.into(),
            agent: agent.into(),
        }
    }

    /// The same browser at another address.
    pub fn moved_to(&self, address: &str) -> Self {
        Self::new(address, &self.agent)
    }

    /// Sends `request` with the address and the user agent of this browser.
    pub fn send(&self, request: Request) -> impl Future<Output = Answer> + use<> {
        request
            .header("x-forwarded-for", &self.address)
            .header("user-agent", &self.agent)
            .send()
    }

    pub async fn refresh(&self, app: &TestApp, cookies: &[&str]) -> Answer {
        self.send(with_cookies(app.post("/v1/auth/refresh"), cookies))
            .await
    }

    pub async fn register(&self, app: &TestApp, login: &str) -> Answer {
        let body = super::registration(login);
        let answer = self.send(app.post("/v1/auth/register").json(&body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    pub async fn sign_in(&self, app: &TestApp, login: &str, cookies: &[&str]) -> Answer {
        let body = serde_json::json!({"login": login, "password": super::PASSWORD});
        let request = with_cookies(app.post("/v1/auth/login").json(&body), cookies);
        self.send(request).await
    }
}

/// Adds refresh cookies in one header, as a browser does.
pub fn with_cookies(request: Request, cookies: &[&str]) -> Request {
    if cookies.is_empty() {
        return request;
    }
    let pairs: Vec<String> = cookies
        .iter()
        .map(|value| format!("arkloop_refresh_token={value}"))
        .collect();
    request.header("cookie", &pairs.join("; "))
}
