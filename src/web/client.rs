//! An HTTP client of one server.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, Timeout};

use super::unix_socket::SocketConnector;
use crate::tls::{TlsFailure, provider, system_authorities};

/// The time limit for resolving the host name, and separately for connecting, TLS included. It is short, because a person waits for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of a whole request, unless the client or the request has another.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of the body of an answer. Expected answers have a few hundred bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// An http or https URL with a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// `None` if `text` is not an http or https URL with a host.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let can_be_asked = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        can_be_asked.then_some(Self(uri))
    }
}

/// An answer of any status, with a body of at most 64 KiB.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    /// `None` if the header is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no answer. The text is safe to log: it repeats nothing that the server sent.
#[derive(Debug)]
pub struct Failure {
    server: &'static str,
    error: ureq::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ureq::Error::{BodyExceedsLimit, ConnectionFailed, HostNotFound, Io, Timeout as TimedOut};
        let server = self.server;
        if let Some(tls) = find_tls_failure(&self.error) {
            return write!(f, "TLS with {server} failed: {tls}");
        }
        match &self.error {
            TimedOut(Timeout::Resolve | Timeout::Connect) => write!(f, "cannot connect to {server} in time"),
            TimedOut(_) => write!(f, "{server} did not answer in time"),
            HostNotFound => write!(f, "the host of {server} was not found"),
            ConnectionFailed => write!(f, "cannot connect to {server}"),
            Io(cause) => write!(f, "the connection to {server} failed: {cause}"),
            BodyExceedsLimit(_) => write!(f, "the answer of {server} is too large"),
            // The text of any other error may repeat what the server sent.
            _ => write!(f, "{server} does not speak HTTP"),
        }
    }
}

impl Failure {
    /// Whether a second attempt may succeed.
    pub fn is_transient(&self) -> bool {
        use ureq::Error::{ConnectionFailed, HostNotFound, Io, Timeout as TimedOut};
        matches!(
            self.error,
            TimedOut(Timeout::Resolve | Timeout::Connect) | HostNotFound | ConnectionFailed | Io(_)
        ) && find_tls_failure(&self.error).is_none()
    }

    /// The cause alone, without the name of the server.
    pub fn into_io(self) -> io::Error {
        match self.error {
            ureq::Error::Io(error) => error,
            ureq::Error::Timeout(_) => ErrorKind::TimedOut.into(),
            _ => io::Error::new(ErrorKind::InvalidData, "it does not speak HTTP"),
        }
    }
}

/// A client of one server.
pub struct Client {
    agent: Agent,
    /// Tried by [`Client::get`] if TLS fails with `agent`.
    trusting_system: Option<Agent>,
    server: &'static str,
}

impl Client {
    /// A client whose failures name the server as `server`, and which keeps at most `connections` idle connections.
    pub fn new(server: &'static str, connections: usize) -> Self {
        Self {
            agent: agent(connections, RootCerts::WebPki),
            trusting_system: None,
            server,
        }
    }

    /// Makes [`Client::get`] also trust the authorities of this machine, which may include the operator's own.
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

    /// A client of the server on this machine, over the unix socket at `socket`, or over TCP if it is `None`. `timeout` limits each whole request.
    pub fn local(socket: Option<&Path>, timeout: Duration) -> Self {
        let config = config(0, RootCerts::WebPki)
            .timeout_connect(None)
            .timeout_global(Some(timeout))
            .build();
        Self {
            agent: match socket {
                Some(path) => Agent::with_parts(
                    config,
                    SocketConnector(path.to_owned()),
                    DefaultResolver::default(),
                ),
                None => config.new_agent(),
            },
            trusting_system: None,
            server: "the server",
        }
    }

    /// Sends a form. The whole request takes at most `timeout`. Callers pass at most [`TOTAL_TIMEOUT`].
    pub fn post_form<'a>(
        &self,
        url: &Url,
        form: impl IntoIterator<Item = (&'a str, &'a str)>,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let request = self.agent.post(&url.0);
        // ureq builds a new TLS configuration for each request with its own settings, so the default timeout is not set here again.
        let response = if timeout == TOTAL_TIMEOUT {
            request.send_form(form)
        } else {
            let config = request.config().timeout_global(Some(timeout));
            config.build().send_form(form)
        };
        self.read(response)
    }

    pub fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        let ask = |agent: &Agent| {
            let request = agent.get(&url.0);
            let add = |request: ureq::RequestBuilder<_>, (name, value): &(&str, &str)| {
                request.header(*name, *value)
            };
            headers.iter().fold(request, add).call()
        };
        match (ask(&self.agent), &self.trusting_system) {
            (Err(error), Some(agent)) if find_tls_failure(&error).is_some() => self.read(ask(agent)),
            (answer, _) => self.read(answer),
        }
    }

    fn read(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        let server = self.server;
        let failure = |error| Failure { server, error };
        let (parts, body) = response.map_err(failure)?.into_parts();
        let body = body.into_with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        Ok(Answer {
            status: parts.status.as_u16(),
            body: body.map_err(failure)?,
            headers: parts.headers,
        })
    }
}

/// The TLS failure in a `ureq::Error`, which wraps it in one of two variants.
fn find_tls_failure(error: &ureq::Error) -> Option<TlsFailure> {
    match error {
        ureq::Error::Rustls(error) => Some(error.into()),
        ureq::Error::Io(error) => TlsFailure::of_io(error),
        _ => None,
    }
}

fn agent(connections: usize, trusted: RootCerts) -> Agent {
    config(connections, trusted).build().new_agent()
}

fn config(connections: usize, trusted: RootCerts) -> ConfigBuilder<AgentScope> {
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
}
