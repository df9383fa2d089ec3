//! Origins of native apps, whose webviews have schemes of their own, and of browser extensions; and tests of hosts.

use std::num::NonZeroU16;

use url::Host;

/// Schemes that do not identify an app. Browsers send `null` as the origin of pages with most of these schemes, and no page has one of the others. Those of
/// Android that open any app, or any page as a fallback, would also let the sign-in page be left for anywhere.
const SCHEMES_OF_NO_APP: [&str; 13] = [
    "about",
    "android-app",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "market",
    "view-source",
    "ws",
    "wss",
];

/// Reads the origin of an app or extension: scheme, host, and a port if there is one, as in `capacitor://localhost`, `app://.` or `chrome-extension://<id>`.
///
/// The result is in lower case, so that two spellings compare equal: engines differ in how they write the host of such a scheme, and Safari shows the ids
/// of its extensions in upper case. The origin of a web site gives `None` too.
pub fn parse_app_origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // A scheme of only these letters, such as "htps", is a misspelt http or https and not the scheme of an app.
    let is_web = scheme.chars().all(|c| "https".contains(c));
    if !is_scheme || is_web || SCHEMES_OF_NO_APP.contains(&scheme) {
        return None;
    }
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, Some(port)));
    if !is_host_name(host) {
        return None;
    }
    match port {
        None => Some(format!("{scheme}://{host}")),
        // `parse` accepts a plus sign before a number.
        Some(port) if port.starts_with('+') => None,
        Some(port) => Some(format!("{scheme}://{host}:{}", port.parse::<NonZeroU16>().ok()?)),
    }
}

/// Whether a host is this machine itself: `localhost` or a loopback address.
pub fn is_this_machine<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost" || name.as_ref().ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// Whether a host is an address, or a name that `is_host_name` accepts.
pub fn is_exact_host<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => is_host_name(name.as_ref()),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

/// Whether a text has only the characters of host names. URL parsers accept more, such as a comma, or a star, which would look like a wildcard but match
/// nothing.
fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}
