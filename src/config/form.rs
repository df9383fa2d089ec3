//! The accepted forms of values: what each looks like, and how it is read and written.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use strum::VariantArray;
use url::{Position, Url};

use super::address::{has_exact_host, is_loopback};
use crate::domain::{Language, Listen, Rate, ServiceName, TrustedProxies, parse_app_origin};

/// The units of a duration, largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration such as `15m`: a whole number and one of the units s, m, h, d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let (_, seconds) = UNITS.into_iter().find(|(letter, _)| *letter == unit)?;
    let number = text.strip_suffix(unit)?;
    // `u64::from_str` accepts a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)
        .map(Duration::from_secs)
}

/// Writes a duration of whole seconds in the largest unit that fits, so that [`parse_duration`] reads it again.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (letter, unit) = UNITS
        .into_iter()
        .find(|(_, unit)| seconds != 0 && seconds.is_multiple_of(*unit))
        .unwrap_or(('s', 1));
    format!("{}{letter}", seconds / unit)
}

/// The accepted form of a duration of `range`, in words.
pub(super) fn duration_form(range: &RangeInclusive<Duration>) -> String {
    let [from, to] = [range.start(), range.end()].map(|end| format_duration(*end));
    format!("a duration from {from} to {to}: a whole number and one of the units s, m, h, d, such as \"15m\"")
}

/// The accepted form of a rate of `what`, in words.
pub(super) fn rate_form(what: &str) -> String {
    let [from, to] = [Rate::SHORTEST, Rate::LONGEST].map(format_duration);
    format!(
        "a number of {what} from 1 to {}, a slash, and a duration from {from} to {to}, such as \"30/1m\"",
        Rate::MOST_REQUESTS
    )
}

/// Reads a rate such as `30/1m`.
pub(super) fn parse_rate(text: &str) -> Option<Rate> {
    let (requests, per) = text.split_once('/')?;
    // `u32::from_str` accepts a sign.
    if !requests.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Rate::new(requests.parse().ok()?, parse_duration(per)?)
}

/// Writes a rate as [`parse_rate`] reads it.
pub(super) fn format_rate(rate: Rate) -> String {
    format!("{}/{}", rate.requests(), format_duration(rate.per()))
}

/// The accepted form of the name of the service, in words.
pub(super) fn name_form() -> String {
    let most = ServiceName::MAX_CHARS;
    format!("one line of at most {most} characters in any script, without control and format characters")
}

/// The accepted form of a language, in words.
pub(super) fn language_form() -> String {
    format!(
        "{}, also as a device says it, such as zh_CN.UTF-8",
        one_of::<Language>()
    )
}

impl Listen {
    /// The accepted form, in words.
    pub(super) const FORM: &str =
        "an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path/of/socket\"";

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/arkloop/arkloop.sock`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Self::Unix(path.into())),
            None => text.parse().ok().map(Self::Tcp),
        }
    }
}

/// An origin (RFC 6454 §6.1): scheme, host, and the port if it is not the scheme's own, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The accepted form, in words.
    pub(super) const FORM: &str =
        "an http or https origin without path, query, user or star, such as \"https://auth.example.org\"";
    /// The accepted form of the items that [`Origin::parse_listed`] reads, in words.
    pub(super) const LIST_FORM: &str = "origins without path, query, user or star, each by itself: of web apps such as \"https://app.example.org\", of native \
         apps and extensions such as \"capacitor://localhost\", \"app://.\" or \"chrome-extension://\" and the id; \"null\" and \"file://\" name \
         no app: serve its pages from http, https or a scheme of its own";

    /// Reads an origin; a bare slash at the end is dropped.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.strip_suffix('/').unwrap_or(text).split_once("://")?;
        // Browsers and the parser mend what they are given; a configuration says what it means.
        let is_plain =
            !authority.contains(['/', '?', '#', '@', '\\']) && !authority.contains(char::is_whitespace);
        let is_web = ["http", "https"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web));
        let url = Url::parse(text)
            .ok()
            .filter(|url| is_plain && is_web && has_exact_host(url))?;
        Some(Self(url.origin().ascii_serialization()))
    }

    /// Reads an origin of a web site, or of a native app or an extension.
    pub(super) fn parse_listed(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| parse_app_origin(text.strip_suffix('/').unwrap_or(text)).map(Self))
    }

    /// `http://localhost` at `port`, or at the port 80 of http.
    pub(super) fn localhost(port: Option<u16>) -> Self {
        Self(
            port.filter(|port| *port != 80)
                .map_or("http://localhost".into(), |port| {
                    format!("http://localhost:{port}")
                }),
        )
    }

    /// The origin as it stands in an `Origin` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Its host as a name for people. Hosts are ASCII; one that is too long for a name is cut.
    pub(super) fn host_as_name(&self) -> ServiceName {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("localhost");
        let host: String = host.chars().take(ServiceName::MAX_CHARS).collect();
        ServiceName::parse(&host).expect("a host is printable, and not empty")
    }

    /// Whether its host is this machine itself: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.0).as_ref().is_ok_and(is_loopback)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TrustedProxies {
    /// The accepted form of an item, in words.
    pub(super) const FORM: &str = "networks such as \"127.0.0.0/8\", addresses, or \"unix\"";

    /// Joins items that [`ProxyItem::parse`] has read.
    pub(super) fn new(items: Vec<ProxyItem>) -> Self {
        let mut proxies = Self::default();
        for item in items {
            match item {
                ProxyItem::Network(network) => proxies.networks.push(network),
                ProxyItem::Unix => proxies.unix = true,
            }
        }
        proxies
    }

    /// The items as they are written.
    pub(super) fn items(&self) -> Vec<String> {
        let unix = self.unix.then(|| "unix".to_owned());
        self.networks
            .iter()
            .map(ToString::to_string)
            .chain(unix)
            .collect()
    }
}

/// One item of `server.trusted_proxies`.
pub(super) enum ProxyItem {
    Network(IpNet),
    Unix,
}

impl ProxyItem {
    /// Reads a network, a single address or `unix`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "unix" {
            return Some(Self::Unix);
        }
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .ok()?;
        unmapped(network).map(|network| Self::Network(network.trunc()))
    }
}

/// The network in the form in which peers are compared: an IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2) as IPv4. `None` for a mapped network
/// with fewer bits than the mapping has: it would match no IPv4 address.
fn unmapped(network: IpNet) -> Option<IpNet> {
    const MAPPING: u8 = 96;
    let IpAddr::V6(address) = network.addr() else {
        return Some(network);
    };
    match address.to_ipv4_mapped() {
        None => Some(network),
        Some(address) => IpNet::new(address.into(), network.prefix_len().checked_sub(MAPPING)?).ok(),
    }
}

/// Whether `template` is an http(s) link of one host with `placeholder` in its path, query or fragment, and with no placeholder but that and `{app_url}`
/// at its beginning.
///
/// A token in the host would be sent to a name server, one in the user or the port would leave the fragment's protection.
pub(super) fn is_link(template: &str, placeholder: &str) -> bool {
    const APP_URL: &str = "{app_url}";
    let rest = template.strip_prefix(APP_URL);
    // Behind an origin another host could begin.
    if rest.is_some_and(|rest| !rest.starts_with(['/', '?', '#'])) {
        return false;
    }
    let template = rest.map_or(template.to_owned(), |rest| format!("https://app.example{rest}"));
    // Readers of mail split a link in other ways than browsers do, so nothing is left to mend.
    let authority = template.split_once("://").map(|(scheme, rest)| {
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        (is_web, &rest[..end])
    });
    let is_plain = authority
        .is_some_and(|(is_web, authority)| is_web && !authority.is_empty() && !authority.contains('@'))
        && !template.contains(['\\', '"', '<', '>']);
    // The text before the path is compared with the placeholder filled in two ways: where it differs, the placeholder is in it.
    let [one, other] = ["x", "y"].map(|token| {
        let url = Url::parse(&template.replace(placeholder, token)).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && has_exact_host(&url);
        is_web.then(|| url[..Position::BeforePath].to_owned())
    });
    is_plain
        && template.contains(placeholder)
        && one.is_some()
        && one == other
        && !template.replace(placeholder, "").contains(['{', '}'])
        && !template.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// The accepted form of a value that is one of a list, in words.
pub(super) fn one_of<T: Copy + VariantArray + Into<&'static str>>() -> String {
    let quoted = T::VARIANTS.iter().map(|value| format!("\"{}\"", (*value).into()));
    format!("one of {}", quoted.collect::<Vec<_>>().join(", "))
}

/// Where mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MailTransport {
    Smtp,
    /// Into files, to try things out.
    File,
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

/// From which severity on events are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Level {
    /// Faults only.
    Error,
    /// And what the operator should look at.
    Warn,
    /// And rare events: start, stop, changes.
    Info,
    /// And each request.
    Debug,
    Trace,
}
