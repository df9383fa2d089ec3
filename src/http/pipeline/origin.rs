//! Which web pages may send requests that change something (OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch Metadata
//! headers" and "Verifying Origin").

use std::net::{Ipv4Addr, Ipv6Addr};

use poem::http::header::{HOST, ORIGIN};
use poem::http::{HeaderMap, HeaderValue, Method};

use crate::domain::parse_app_origin;
use crate::http::ServerSettings;

/// The origins whose pages may call this server and read its answers: those of `public_url` and `app_url`, and the `allowed_origins`.
pub(crate) struct Origins {
    listed: Vec<String>,
    /// The hosts of `public_url` and `app_url`.
    own_hosts: Vec<String>,
}

impl Origins {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        let own = std::iter::once(&settings.public_origin).chain(&settings.app_origin);
        let own: Vec<String> = own.map(|origin| origin.to_ascii_lowercase()).collect();
        let own_hosts = own.iter().filter_map(|origin| host_and_port(origin));
        Self {
            own_hosts: own_hosts.map(|host| without_port(host).to_owned()).collect(),
            listed: own
                .iter()
                .chain(&settings.allowed_origins)
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Whether `origin`, as a browser writes it, is listed.
    pub(super) fn is_listed(&self, origin: &str) -> bool {
        let is_one = |origin: &str| self.listed.iter().any(|listed| listed == origin);
        is_one(origin) || parse_app_origin(origin).is_some_and(|origin| is_one(&origin))
    }

    /// Whether a request may be carried out.
    ///
    /// Requests with safe methods always may. For others, `Sec-Fetch-Site` must be `same-origin` or `none`, or `Origin` must be listed. If the browser does not
    /// send `Sec-Fetch-Site`, `Origin` may also be the request's own host (`is_own_host`). A request with neither header does not come from a browser.
    pub(super) fn may_act(&self, method: &Method, headers: &HeaderMap) -> bool {
        if method.is_safe() {
            return true;
        }
        let origin = headers
            .get(ORIGIN)
            .map(|value| value.to_str().unwrap_or_default());
        let is_listed = origin.is_some_and(|origin| self.is_listed(origin));
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => true,
            Some(_) => is_listed,
            None => is_listed || origin.is_none_or(|origin| self.is_own_host(origin, headers)),
        }
    }

    /// Whether a page and its request name the same host, and that name is out of reach of DNS rebinding.
    fn is_own_host(&self, origin: &str, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let (Some(named), Some(host)) = (host_and_port(origin), host) else {
            return false;
        };
        named.eq_ignore_ascii_case(host) && self.is_fixed(&without_port(host).to_ascii_lowercase())
    }

    /// Whether `host` is out of reach of DNS rebinding. A page of any other name may have come from an attacker's server, before the attacker pointed the name
    /// to this server.
    fn is_fixed(&self, host: &str) -> bool {
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        host == "localhost"
            || self.own_hosts.iter().any(|own| own == host)
            || host.parse::<Ipv4Addr>().is_ok()
            || in_brackets.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
    }
}

/// The part of an http(s) origin after the scheme.
pub(super) fn host_and_port(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

/// The host alone; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_act(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let settings = ServerSettings {
            public_origin: "https://auth.example.org".to_owned(),
            app_origin: Some("https://app.example.org".to_owned()),
            allowed_origins: vec!["https://other.example.com:8443".to_owned()],
            ..ServerSettings::default()
        };
        let headers = headers.iter().map(|(name, value)| {
            let name = poem::http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        Origins::new(&settings).may_act(method, &headers.collect())
    }

    #[test]
    fn what_the_browser_says_of_the_site_decides() {
        for site in ["same-origin", "none"] {
            assert!(
                may_act(
                    &Method::POST,
                    &[("sec-fetch-site", site), ("origin", "https://evil.example")]
                ),
                "{site}"
            );
        }
        for site in ["same-site", "cross-site", "anything"] {
            assert!(!may_act(&Method::POST, &[("sec-fetch-site", site)]), "{site}");
            assert!(
                !may_act(&Method::POST, &[("sec-fetch-site", site), ("origin", "null")]),
                "{site}"
            );
            for origin in [
                "https://auth.example.org",
                "https://app.example.org",
                "https://other.example.com:8443",
            ] {
                assert!(
                    may_act(&Method::POST, &[("sec-fetch-site", site), ("origin", origin)]),
                    "{site} {origin}"
                );
            }
        }
        // A matching host does not help once the browser has called the request cross-site.
        let own = [
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://h:1"),
            ("host", "h:1"),
        ];
        assert!(!may_act(&Method::POST, &own));
    }

    #[test]
    fn an_origin_without_fetch_metadata_must_be_listed_or_the_own_host() {
        assert!(may_act(&Method::POST, &[("origin", "https://app.example.org")]));
        assert!(may_act(
            &Method::POST,
            &[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]
        ));
        for origin in [
            "null",
            "http://127.0.0.1:8081",
            "https://app.example.org.evil.example",
            "https://app.example.org/",
        ] {
            assert!(
                !may_act(&Method::DELETE, &[("origin", origin), ("host", "127.0.0.1:8080")]),
                "{origin}"
            );
        }
    }

    #[test]
    fn the_own_host_counts_only_where_no_stranger_has_the_name() {
        let may_act_at = |host: &'static str| {
            let origin = Box::leak(format!("http://{host}").into_boxed_str());
            may_act(&Method::POST, &[("origin", origin), ("host", host)])
        };
        for host in [
            "auth.example.org",
            "AUTH.example.org:8080",
            "app.example.org:1",
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "192.0.2.7",
            "[::1]",
            "[2001:DB8::1]:8080",
        ] {
            assert!(may_act_at(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "other.example.com:8443",
            "localhost.evil.example",
            "localhost.evil.example:8080",
            "evil.localhost",
            "localhost.",
            "localhost.:8080",
            "auth.example.org.",
            "auth.example.org.evil.example",
            "auth.example.orga",
            "127.0.0.1.nip.io",
            "127.0.0.1.",
            "127.1",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "::1",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "[evil.example]",
            "[127.0.0.1]",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost:8080@evil.example",
            "localhost:evil.example",
            "",
            ":8080",
        ] {
            assert!(!may_act_at(host), "{host}");
        }
        // Another port of the same host is another origin.
        for (origin, host) in [
            ("http://localhost:3000", "localhost:8080"),
            ("http://localhost", "localhost:8080"),
            ("http://auth.example.org:3000", "auth.example.org"),
            ("http://127.0.0.1:3000", "localhost:3000"),
        ] {
            assert!(
                !may_act(&Method::POST, &[("origin", origin), ("host", host)]),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn what_no_browser_sent_and_what_changes_nothing_passes() {
        assert!(may_act(&Method::POST, &[]));
        assert!(may_act(
            &Method::GET,
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://evil.example")
            ]
        ));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::properties::{almost, wild_text};

    const OWN: &str = "https://auth.example.org";

    proptest! {
        #[test]
        fn no_name_but_the_own_ones_counts_as_own(
            host in prop_oneof![
                "[a-z0-9.-]{1,20}(:[0-9]{1,5})?",
                almost(prop::sample::select(vec!["auth.example.org:80", "localhost:80", "127.0.0.1", "[::1]:80"]).prop_map(str::to_owned)),
            ],
        ) {
            let settings = ServerSettings { public_origin: OWN.to_owned(), ..ServerSettings::default() };
            let (Ok(origin), Ok(named)) = (HeaderValue::from_str(&format!("http://{host}")), HeaderValue::from_str(&host)) else {
                return Ok(());
            };
            let headers: HeaderMap = [(ORIGIN, origin), (HOST, named)].into_iter().collect();
            // The host as a browser reads it.
            let host = url::Url::parse(&format!("http://{host}")).ok();
            let is_own = match host.as_ref().and_then(url::Url::host) {
                Some(url::Host::Domain(name)) => ["auth.example.org", "localhost"].contains(&name),
                Some(_) => true,
                None => false,
            };
            prop_assert!(is_own || !Origins::new(&settings).may_act(&Method::POST, &headers));
        }

        #[test]
        fn no_foreign_page_acts_whatever_it_calls_itself(
            origin in prop_oneof![wild_text(), almost(Just(OWN.to_owned())), "https?://[a-z.]{1,30}(:[0-9]{1,5})?"],
            site in prop_oneof![Just("cross-site".to_owned()), Just("same-site".to_owned()), wild_text()],
        ) {
            let settings = ServerSettings { public_origin: OWN.to_owned(), ..ServerSettings::default() };
            let origins = Origins::new(&settings);
            let (Ok(from), Ok(fetched)) = (HeaderValue::from_str(&origin), HeaderValue::from_str(&site)) else {
                return Ok(());
            };
            let site_header = poem::http::HeaderName::from_static("sec-fetch-site");
            let headers: HeaderMap = [(ORIGIN, from), (site_header, fetched)].into_iter().collect();
            let expected = origin == OWN || ["same-origin", "none"].contains(&site.as_str());
            prop_assert_eq!(origins.may_act(&Method::POST, &headers), expected);
            prop_assert!(origins.may_act(&Method::GET, &headers));
        }
    }
}
