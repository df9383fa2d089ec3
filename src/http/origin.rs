//! Which web pages may make this server act (OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch Metadata
//! headers" and "Verifying Origin").

use poem::http::header::{HOST, ORIGIN};
use poem::http::{HeaderMap, HeaderValue, Method};

use super::Settings;

/// The origins whose pages may call this server and read its answers: of `public_url`, of `app_url`, and the
/// `allowed_origins`.
pub(super) struct Origins(Vec<String>);

impl Origins {
    /// Those that `settings` list.
    pub(super) fn new(settings: &Settings) -> Self {
        let own = std::iter::once(&settings.public_origin).chain(&settings.app_origin);
        Self(
            own.chain(&settings.allowed_origins)
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether `origin`, as a browser writes it, is one of them.
    pub(super) fn is_listed(&self, origin: &str) -> bool {
        self.0.iter().any(|listed| listed == origin)
    }

    /// Whether a request may be carried out.
    ///
    /// Safe methods always. Otherwise `Sec-Fetch-Site` decides where a browser sends it; where it does not, `Origin`
    /// must be listed or the request's own host. A request with neither comes from no browser.
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
            None => is_listed || origin.is_none_or(|origin| is_own_host(origin, headers)),
        }
    }
}

fn is_own_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    matches!((origin_host, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_act(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let settings = Settings {
            public_origin: "https://auth.example.org".to_owned(),
            app_origin: Some("https://app.example.org".to_owned()),
            allowed_origins: vec!["https://other.example.com:8443".to_owned()],
            ..Settings::default()
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
        // The request's own host is no excuse once the browser has called it cross-site.
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
        fn no_foreign_page_acts_whatever_it_calls_itself(
            origin in prop_oneof![wild_text(), almost(Just(OWN.to_owned())), "https?://[a-z.]{1,30}(:[0-9]{1,5})?"],
            site in prop_oneof![Just("cross-site".to_owned()), Just("same-site".to_owned()), wild_text()],
        ) {
            let settings = Settings { public_origin: OWN.to_owned(), ..Settings::default() };
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
