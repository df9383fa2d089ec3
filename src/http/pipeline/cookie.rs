//! The refresh cookie: how it is read, set and cleared (RFC 6265bis).

use std::time::{Duration, UNIX_EPOCH};

use poem::http::HeaderMap;
use poem::http::header::COOKIE;
use secrecy::ExposeSecret;

use crate::domain::Timestamp;
use crate::http::ServerSettings;
use crate::service::RefreshCookie;

/// The name of the cookie, fixed by the published API (a `__Host-` prefix would forbid its path).
pub(crate) const NAME: &str = "arkloop_refresh_token";

/// The value of every cookie with this name, in the order of the request. A browser may hold several, with different paths.
///
/// The document has no security scheme for the cookie: generated clients would write a token into it, but only the server sets it, and only a cookie jar
/// sends it back.
pub(crate) fn presented(headers: &HeaderMap) -> Vec<String> {
    let mut values = Vec::new();
    for line in headers.get_all(COOKIE) {
        // Pages may set cookies with any bytes for this host; these must not hide the refresh cookie.
        let line = String::from_utf8_lossy(line.as_bytes());
        let pairs = line.split(';').filter_map(|pair| pair.split_once('='));
        let ours = pairs.filter(|(name, _)| name.trim() == NAME);
        values.extend(ours.map(|(_, value)| unquoted(value.trim()).to_owned()));
    }
    values
}

/// Removes the pair of quotes that a value may have (RFC 6265 §4.1.1).
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// The `Set-Cookie` value that sets a refresh token.
pub(crate) fn set(cookie: &RefreshCookie, settings: &ServerSettings) -> String {
    let value = cookie.value.expose_secret();
    write(value, cookie.max_age, cookie.expires_at, settings)
}

/// The `Set-Cookie` value that clears the refresh token.
pub(crate) fn clear(settings: &ServerSettings) -> String {
    write("", Duration::ZERO, Timestamp::from_millis(0), settings)
}

/// `Expires` says the same as `Max-Age`, for clients that know only `Expires`. `Secure` follows `public_url`, never a header of a request.
fn write(value: &str, max_age: Duration, expires_at: Timestamp, settings: &ServerSettings) -> String {
    let same_site = settings.same_site.attribute();
    let secure = if settings.is_secure { "; Secure" } else { "" };
    let max_age = max_age.as_secs();
    let since_epoch = expires_at.since(Timestamp::from_millis(0));
    let expires = httpdate::fmt_http_date(UNIX_EPOCH + since_epoch);
    format!(
        "{NAME}={value}; Path=/v1/auth; HttpOnly; SameSite={same_site}; Max-Age={max_age}; Expires={expires}{secure}"
    )
}

#[cfg(test)]
mod properties {
    use poem::http::HeaderValue;
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;
    use crate::domain::properties::wild_text;

    fn headers(lines: &[String]) -> HeaderMap {
        let lines = lines
            .iter()
            .filter_map(|line| HeaderValue::from_bytes(line.as_bytes()).ok());
        lines.map(|line| (COOKIE, line)).collect()
    }

    /// Cookies with other names, including some that no browser sends.
    fn foreign() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_]{1,12}=[A-Za-z0-9]{0,12}",
            wild_text().prop_map(|text| text.replace(';', ""))
        ]
        .prop_filter("it is ours", |pair| !pair.contains(NAME))
    }

    proptest! {
        #[test]
        fn our_cookie_is_found_among_any_others(
            value in "[A-Za-z0-9_-]{71}",
            before in prop::collection::vec(foreign(), 0..3),
            after in prop::collection::vec(foreign(), 0..3),
            quote in prop_oneof![Just(""), Just("\"")],
        ) {
            let ours = format!("{NAME}={quote}{value}{quote}");
            let line = [before.as_slice(), &[ours], &after].concat().join("; ");
            let headers = headers(&[line]);
            prop_assume!(!headers.is_empty());
            prop_assert_eq!(presented(&headers), [value]);
        }

        #[test]
        fn no_bytes_make_the_reader_panic_and_no_other_cookie_is_ours(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3),
        ) {
            let lines = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
            let headers = lines.map(|line| (COOKIE, line)).collect();
            prop_assert!(presented(&headers).is_empty());
        }

        #[test]
        fn what_is_set_is_one_cookie_that_is_read_back(value in "[A-Za-z0-9_-]{0,71}", seconds: u32, is_secure: bool, expires: u32) {
            let settings = ServerSettings { is_secure, ..ServerSettings::default() };
            let max_age = Duration::from_secs(seconds.into());
            let expires_at = Timestamp::from_millis(i64::from(expires) * 1000);
            let cookie = RefreshCookie { value: SecretString::from(value.clone()), max_age, expires_at };
            let written = set(&cookie, &settings);
            let pair = written.split(';').next().unwrap_or_default().to_owned();
            prop_assert_eq!(presented(&headers(&[pair])), [value]);
            prop_assert_eq!(written.contains("; Secure"), is_secure);
            prop_assert!(HeaderValue::from_str(&written).is_ok());
        }
    }
}
