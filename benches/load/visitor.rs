//! Visitors: each has a connection and an account of its own, and repeats one operation.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::client::{Client, Request, Response};
use super::peer::Peer;
use super::tally::Tally;

/// What a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Register another account each time.
    Register,
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
            Self::Register => "register",
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Me => "me",
            Self::Healthz => "healthz",
        }
    }
}

/// When a visitor pauses: at the first of these bounds.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The start of the run, from which the times of its requests are told.
    pub(crate) clock: Instant,
    /// The start of this part of it.
    pub(crate) began: Instant,
    /// At this moment.
    pub(crate) until: Instant,
    /// After so many requests.
    pub(crate) requests: u32,
}

/// Visitors of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    /// The prefix of the names of their figures.
    pub(crate) name: &'static str,
    /// What they do.
    pub(crate) operation: Operation,
    /// How many they are.
    pub(crate) number: usize,
    /// If it is not zero, they all send one request at the same time and then wait for the next multiple of it.
    pub(crate) rhythm: Duration,
}

/// A connection, and the request that the visitor repeats on it.
pub(crate) struct Visitor {
    client: Client,
    peer: Peer,
    group: Group,
    login: String,
    registered: u32,
    request: Request,
}

impl Visitor {
    /// Connects, and registers `login` if the operation needs an account.
    pub(crate) async fn arrive(
        address: SocketAddr,
        peer: Peer,
        group: Group,
        login: String,
    ) -> io::Result<Self> {
        let mut client = Client::connect(address).await?;
        let request = match group.operation {
            Operation::Healthz => peer.health(),
            Operation::Register => peer.register(&login),
            Operation::Login => {
                register(&mut client, peer, &login).await?;
                peer.sign_in(&login)
            }
            Operation::Refresh => peer.refresh(&enter(&mut client, peer, &login).await?)?,
            Operation::Me => peer.read(&enter(&mut client, peer, &login).await?)?,
        };
        Ok(Self {
            client,
            peer,
            group,
            login,
            registered: 0,
            request,
        })
    }

    /// The prefix of the names of its figures.
    pub(crate) fn name(&self) -> &'static str {
        self.group.name
    }

    /// Sends requests until one of the bounds, or until the connection is lost.
    pub(crate) async fn stay(&mut self, bounds: Bounds) -> Tally {
        let mut tally = Tally::default();
        for turn in 0..bounds.requests {
            if !self.group.rhythm.is_zero() {
                let next = bounds.began + self.group.rhythm * turn;
                sleep_until(bounds.until.min(next).into()).await;
            }
            let began = Instant::now();
            if began >= bounds.until {
                break;
            }
            match self.ask().await {
                Ok(status) => tally.add(status, began - bounds.clock, began.elapsed()),
                Err(error) => {
                    tally.lose(&error);
                    break;
                }
            }
        }
        tally
    }

    async fn ask(&mut self) -> io::Result<u16> {
        if self.group.operation == Operation::Register {
            self.registered += 1;
            self.request = self.peer.register(&format!("{}-{}", self.login, self.registered));
        }
        let response = self.client.exchange(&self.request).await?;
        if self.group.operation == Operation::Refresh && response.status == 200 {
            self.request = self.peer.refresh(&response)?;
        }
        Ok(response.status)
    }
}

async fn register(client: &mut Client, peer: Peer, login: &str) -> io::Result<Response> {
    let response = client.exchange(&peer.register(login)).await?;
    if matches!(response.status, 200 | 201) {
        return Ok(response);
    }
    Err(io::Error::other(format!(
        "registering answered {}: arkloop needs ARKLOOP_REGISTRATION__MODE=open and no rate limits",
        response.status
    )))
}

/// Registers and signs in.
async fn enter(client: &mut Client, peer: Peer, login: &str) -> io::Result<Response> {
    let registered = register(client, peer, login).await?;
    if peer.signs_in_at_registration() {
        return Ok(registered);
    }
    client.exchange(&peer.sign_in(login)).await
}
