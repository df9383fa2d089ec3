//! Questions to other servers over HTTP: blocking, straight there (no proxy of the environment), without redirects, with
//! bounded time and bounded answers.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use crate::tls::{TlsFailure, provider, system_authorities};

/// To find the address of a server, and again to connect to it, TLS included: somebody waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For everything together.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The answers that are asked for have a few hundred bytes; more is not an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// An http or https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Reads an address; `None` if it is none that can be asked.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let can_be_asked = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        can_be_asked.then_some(Self(uri))
    }
}

/// What came back, whatever its status: at most 64 KiB.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    /// The text of a header, if it came and is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a 2xx.
    pub const fn is_success(&self) -> bool {
        self.status / 100 == 2
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For people and the log; nothing of what the server sent is in it.
    pub reason: String,
    /// Whether a second try makes sense.
    pub is_passing: bool,
}

/// Whoever asks one server.
pub struct Client {
    agent: Agent,
    /// Asked where the certificate is not trusted by `agent`.
    trusting_system: Option<Agent>,
    /// What failures call the server.
    server: &'static str,
}

impl Client {
    /// Asks `server`, as failures call it, over at most so many `connections` that are kept.
    pub fn new(server: &'static str, connections: usize) -> Self {
        Self {
            agent: agent(connections, RootCerts::WebPki),
            trusting_system: None,
            server,
        }
    }

    /// Also trusts the authorities that this machine does, for questions ([`Client::get`]) to a server of the operator's own.
    #[must_use]
    pub fn or_trusting_system(self) -> Self {
        let certificates: Vec<_> = system_authorities()
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        Self {
            trusting_system: (!certificates.is_empty())
                .then(|| agent(1, RootCerts::Specific(Arc::new(certificates)))),
            ..self
        }
    }

    /// Sends a form, and waits for the answer no longer than `timeout`, at most [`TOTAL_TIMEOUT`].
    pub fn post_form<'a>(
        &self,
        address: &Address,
        form: impl IntoIterator<Item = (&'a str, &'a str)>,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let request = self.agent.post(&address.0);
        // A setting of one request's own costs a TLS configuration, so that the usual one does without.
        let response = if timeout == TOTAL_TIMEOUT {
            request.send_form(form)
        } else {
            let config = request.config().timeout_global(Some(timeout));
            config.build().send_form(form)
        };
        self.read(response)
    }

    /// Asks for what is there, with further headers.
    pub fn get(&self, address: &Address, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        let ask = |agent: &Agent| {
            let request = headers
                .iter()
                .fold(agent.get(&address.0), |request, (name, value)| {
                    request.header(*name, *value)
                });
            request.call()
        };
        match (ask(&self.agent), &self.trusting_system) {
            (Err(error), Some(agent)) if of_tls(&error).is_some() => self.read(ask(agent)),
            (answer, _) => self.read(answer),
        }
    }

    fn read(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        let (parts, body) = response.map_err(|error| self.failure(&error))?.into_parts();
        let body = body.into_with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        Ok(Answer {
            status: parts.status.as_u16(),
            body: body.map_err(|error| self.failure(&error))?,
            headers: parts.headers,
        })
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        use ureq::Error::{BodyExceedsLimit, ConnectionFailed, HostNotFound, Io, Timeout as TimedOut};
        let server = self.server;
        if let Some(tls) = of_tls(error) {
            return Failure {
                reason: format!("TLS with {server} failed: {tls}"),
                is_passing: false,
            };
        }
        let (reason, is_passing) = match error {
            TimedOut(Timeout::Resolve | Timeout::Connect) => {
                (format!("cannot connect to {server} in time"), true)
            }
            TimedOut(_) => (format!("{server} did not answer in time"), false),
            HostNotFound => (format!("the host of {server} was not found"), true),
            ConnectionFailed => (format!("cannot connect to {server}"), true),
            Io(cause) => (format!("the connection to {server} failed: {cause}"), true),
            BodyExceedsLimit(_) => (format!("the answer of {server} is too large"), false),
            // The text of the others may repeat what the server sent.
            _ => (format!("{server} does not speak HTTP"), false),
        };
        Failure { reason, is_passing }
    }
}

/// What failed, if it was TLS. The library passes it on as one or the other.
fn of_tls(error: &ureq::Error) -> Option<TlsFailure> {
    match error {
        ureq::Error::Rustls(error) => Some(error.into()),
        ureq::Error::Io(error) => TlsFailure::of_io(error),
        _ => None,
    }
}

fn agent(connections: usize, trusted: RootCerts) -> Agent {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider())
        .root_certs(trusted)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TOTAL_TIMEOUT))
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        .user_agent("arkloop")
        .build()
        .new_agent()
}
