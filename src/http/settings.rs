//! The settings of the server: its origins, its switches, its limits and its deadlines.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Rates, SameSite, TrustedProxies};

/// How long the server waits for a client. If the client is slower, its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first byte of a request, or from the connection if it is the first, to the end of its header.
    pub header: Duration,
    /// From the header to the end of the body.
    pub body: Duration,
    /// Between two requests of one connection. Longer than proxies keep connections (Caddy two minutes, nginx one), so that the proxy is the one that
    /// closes it: a request on a connection that the server is closing becomes a 502.
    pub idle: Duration,
    /// Until the client has taken a whole response.
    pub response: Duration,
    /// After the stop signal, for requests in flight.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(130),
            response: Duration::from_mins(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// A callback that gets the id of an operation.
type BeforeAnswer = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate switch of the configuration"
)]
pub struct ServerSettings {
    /// The origin of `server.public_url`, such as `https://auth.example.org`: no path, no slash at the end.
    pub public_origin: String,
    /// The origin of `server.app_url`, if that is set.
    pub app_origin: Option<String>,
    /// The origins of other browser apps.
    pub allowed_origins: Vec<String>,
    /// Whether `server.public_url` is https: then cookies are `Secure` and HSTS is sent.
    pub is_secure: bool,
    /// The `SameSite` attribute of the refresh cookie.
    pub same_site: SameSite,
    /// The peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// How often requests may come from one address or session; `None` if requests are not limited.
    pub rates: Option<Rates>,
    /// Whether `/docs` and `/openapi.json` are served.
    pub docs: bool,
    /// Whether the built-in pages are served.
    pub pages: bool,
    /// Whether `/v1/auth/check` answers.
    pub identity_check: bool,
    /// Whether the operations of Arkloop's own web client are served.
    pub arkloop_client: bool,
    pub deadlines: Deadlines,
    /// How many connections may be open at once. A further one evicts the connection that has been at rest the longest, or waits if all are busy.
    pub max_connections: usize,
    /// How many of these one IPv4 address or one IPv6 network of 64 bits may have. A connection of a listed proxy counts for the client of its current request.
    pub max_connections_per_address: usize,
    /// Called with the id of each operation before its handler answers, so that tests can cause a panic there.
    #[doc(hidden)]
    pub before_answer: Option<BeforeAnswer>,
}
