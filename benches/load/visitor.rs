//! Visitors: each has a connection and an account of its own, and repeats one operation.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Client, Request, Response};
use super::tally::Tally;

/// The password of the visitors' accounts. It is public, so no real account may have it.
const PASSWORD: &str = "measured, not kept secret";

/// What a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Sign in by password.
    Login,
    /// Refresh the visitor's own session, following its cookie.
    Refresh,
    /// Read the own account.
    Me,
    /// Ask whether the server is alive, which shows the cost of HTTP alone.
    Healthz,
}

impl Operation {
    /// The prefix of the names of its figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Me => "me",
            Self::Healthz => "healthz",
        }
    }
}

/// When a visitor leaves: at the first of these bounds.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// At this moment.
    pub(crate) until: Instant,
    /// After so many requests.
    pub(crate) requests: u32,
}

/// A connection, and the request that the visitor repeats on it.
pub(crate) struct Visitor {
    client: Client,
    operation: Operation,
    request: Request,
}

impl Visitor {
    /// Connects, and registers `login` if the operation needs an account.
    pub(crate) async fn arrive(address: SocketAddr, operation: Operation, login: &str) -> io::Result<Self> {
        let mut client = Client::connect(address).await?;
        let request = match operation {
            Operation::Healthz => Request::new("GET", "/healthz", &[], ""),
            Operation::Login => {
                register(&mut client, login).await?;
                let body = json!({"login": login, "password": PASSWORD}).to_string();
                Request::new("POST", "/v1/auth/login", &[], &body)
            }
            Operation::Refresh => refresh(&register(&mut client, login).await?)?,
            Operation::Me => {
                let registered = register(&mut client, login).await?;
                let body: Value = serde_json::from_slice(&registered.body)?;
                let token = body["access_token"].as_str().unwrap_or_default();
                Request::new(
                    "GET",
                    "/v1/me",
                    &[("Authorization", &format!("Bearer {token}"))],
                    "",
                )
            }
        };
        Ok(Self {
            client,
            operation,
            request,
        })
    }

    /// What the visitor does.
    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    /// Sends requests until one of the bounds, or until the connection is lost.
    pub(crate) async fn stay(mut self, bounds: Bounds) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..bounds.requests {
            let began = Instant::now();
            if began >= bounds.until {
                break;
            }
            match self.ask().await {
                Ok(status) => tally.add(status, began.elapsed()),
                Err(error) => {
                    tally.lose(&error);
                    break;
                }
            }
        }
        tally
    }

    async fn ask(&mut self) -> io::Result<u16> {
        let response = self.client.exchange(&self.request).await?;
        if self.operation == Operation::Refresh && response.status == 200 {
            self.request = refresh(&response)?;
        }
        Ok(response.status)
    }
}

async fn register(client: &mut Client, login: &str) -> io::Result<Response> {
    let body = json!({"login": login, "password": PASSWORD, "email": format!("{login}@example.org")});
    let request = Request::new("POST", "/v1/auth/register", &[], &body.to_string());
    let response = client.exchange(&request).await?;
    if response.status == 201 {
        return Ok(response);
    }
    Err(io::Error::other(format!(
        "registering answered {}: the server needs ARKLOOP_REGISTRATION__MODE=open and ARKLOOP_RATE_LIMIT__ENABLED=false",
        response.status
    )))
}

/// The refresh that follows an answer.
fn refresh(answer: &Response) -> io::Result<Request> {
    let cookie = answer.cookie.as_deref();
    let cookie = cookie.ok_or_else(|| io::Error::other("an answer set no refresh cookie"))?;
    Ok(Request::new(
        "POST",
        "/v1/auth/refresh",
        &[("Cookie", cookie)],
        "",
    ))
}
