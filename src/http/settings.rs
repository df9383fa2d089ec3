//! The settings of the server: its origins, its switches, its limits and its deadlines.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::domain::{Logo, Rates, SameSite, TrustedProxies, is_this_machine};

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
    /// The picture that the built-in pages show; `None` if they show the sign of arkloop.
    pub logo: Option<Logo>,
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

impl ServerSettings {
    /// The origins that the sign-in page returns people to, in the form of browsers: that of the app (or of this server, if no app is set) and the
    /// [`allowed_origins`](Self::allowed_origins). Origins with plain http are left out, except this machine's, because others on the way could read and
    /// change such a page.
    pub(super) fn return_origins(&self) -> Vec<String> {
        let first = self.app_origin.as_ref().unwrap_or(&self.public_origin);
        let listed = std::iter::once(first).chain(&self.allowed_origins);
        let listed = listed.map(|origin| origin.to_ascii_lowercase());
        listed.filter(|origin| is_safe(origin)).collect()
    }
}

/// Whether an origin is not plain http, or is this machine's own.
fn is_safe(origin: &str) -> bool {
    if !origin.starts_with("http://") {
        return true;
    }
    let url = Url::parse(origin).ok();
    url.is_some_and(|url| url.host().is_some_and(|host| is_this_machine(&host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_goes_back_to_listed_apps_and_not_over_plain_http() {
        let mut settings = ServerSettings {
            public_origin: "https://auth.example.org".to_owned(),
            allowed_origins: [
                "https://other.example.com:8443",
                "http://intranet.example.org",
                "http://localhost:5173",
                "http://app.localhost",
                "http://127.0.0.1:3000",
                "http://[::1]:3000",
                "http://localhost.example.org",
                "capacitor://localhost",
            ]
            .map(str::to_owned)
            .into(),
            ..ServerSettings::default()
        };
        let common = [
            "https://other.example.com:8443",
            "http://localhost:5173",
            "http://app.localhost",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "capacitor://localhost",
        ];
        let listed = |first: &'static str| [&[first][..], &common].concat();
        assert_eq!(settings.return_origins(), listed("https://auth.example.org"));
        // With an app, people are not returned to the server's own origin.
        settings.app_origin = Some("https://App.example.org".to_owned());
        assert_eq!(settings.return_origins(), listed("https://app.example.org"));
    }
}
