//! The address of the mail server, when SMTP is encrypted, and the name in EHLO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::newtype::checked_text;
use super::origin::{is_exact_host, is_this_machine};
use super::user::is_domain_name;

/// The address of a mail server: `smtp://host[:port]`, or `smtps://host[:port]` for TLS from the first byte.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
#[display("{text}")]
pub struct SmtpUrl {
    text: String,
    pub host: Host,
    pub port: Option<u16>,
    pub is_tls: bool,
}

impl SmtpUrl {
    /// Accepts only a URL without user, password, path, query and fragment, whose host has no wildcard.
    pub fn parse(text: &str) -> Option<Self> {
        // The URL parser drops control characters, surrounding white space and a user without a name.
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '@') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        // For schemes that browsers do not know, the URL parser checks the host less strictly.
        let host = Host::parse(url.host_str()?).ok()?;
        let is_tls = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return None,
        };
        (is_bare && is_exact_host(&host)).then(|| Self {
            text: text.to_owned(),
            host,
            port: url.port(),
            is_tls,
        })
    }

    /// The host: a name, or an IP address without brackets.
    pub fn host_name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// Whether the mail server is this machine itself.
    pub fn is_loopback(&self) -> bool {
        is_this_machine(&self.host)
    }
}

/// When SMTP is encrypted. There is no opportunistic mode: an attacker on the path could prevent encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum SmtpSecurity {
    /// After STARTTLS; no mail is sent if the server does not offer it.
    StartTls,
    /// From the first byte.
    Tls,
    /// Never.
    None,
}

/// The argument of EHLO (RFC 5321 §4.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeloName(String);

impl HeloName {
    /// What [`HeloName::parse`] accepts, for error texts.
    pub const FORM: &'static str = "the full name of this host, such as \"auth.example.org\", or its address in brackets, such as \
                                    \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\"";

    /// Reads a full host name or an address literal (RFC 5321 §4.1.3); an international name becomes ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return Self::of_host(text);
        };
        let address = match literal.split_at_checked(5) {
            Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
                IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
            }
            _ => IpAddr::V4(literal.parse::<Ipv4Addr>().ok()?),
        };
        Some(Self::literal(address))
    }

    /// A host's full name: at least two labels of letters, digits and hyphens, the last of which is not a number.
    fn of_host(text: &str) -> Option<Self> {
        let ascii = idna::domain_to_ascii(text).ok()?;
        let is_full = ascii.len() <= 253 && ascii.contains('.') && is_domain_name(&ascii);
        is_full.then_some(Self(ascii))
    }

    /// The literal of an address, such as `[192.0.2.1]`.
    pub fn literal(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        })
    }

    /// The default: `hostname` if it is a full name, else `public_host` if that is a full name or an IP address, but not a loopback or unspecified one. `None`
    /// means the host's address on each connection.
    pub fn by_default(hostname: &str, public_host: &str) -> Option<Self> {
        let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
        // Names that installers give to a host without a name, and names that are valid only on the host itself (RFC 6761 §6.3).
        let is_own_only = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.starts_with("localhost.") || name.ends_with(".localhost") || name.ends_with(".localdomain")
        };
        let named = [hostname, public_host]
            .into_iter()
            .filter(|name| !is_own_only(name))
            .find_map(Self::of_host);
        let address = || {
            let bare = public_host.trim_start_matches('[').trim_end_matches(']');
            let address: IpAddr = bare.parse().ok()?;
            let is_of_a_host = !address.to_canonical().is_loopback() && !address.is_unspecified();
            is_of_a_host.then(|| Self::literal(address))
        };
        named.or_else(address)
    }
}

checked_text!(HeloName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helo_name_is_a_full_name_or_a_literal() {
        for (text, name) in [
            ("auth.example.org", "auth.example.org"),
            ("Auth.B\u{fc}cher.example", "auth.xn--bcher-kva.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(HeloName::parse(text).map(|name| name.0).as_deref(), Some(name));
        }
        for text in [
            "",
            "relay",
            "localhost",
            "auth.example.org.",
            "auth..example.org",
            ".example.org",
            "my_host.example.org",
            "-a.example.org",
            "a-.example.org",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
            "[auth.example.org]",
            "[192.0.2.1",
            "auth.example.org:25",
            "auth example.org",
            "auth.example.org\r\nMAIL FROM:<a@b.example>",
        ] {
            assert_eq!(HeloName::parse(text), None, "{text:?}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert_eq!(HeloName::parse(&long), None);
    }

    #[test]
    fn the_default_is_the_first_full_name_else_an_address() {
        for (hostname, public_host, expected) in [
            ("vps.example.net", "auth.example.org", Some("vps.example.net")),
            ("vps.example.net.", "auth.example.org", Some("vps.example.net")),
            ("vps", "auth.example.org", Some("auth.example.org")),
            ("", "auth.example.org", Some("auth.example.org")),
            ("my_vps.example.net", "auth.example.org", Some("auth.example.org")),
            (
                "localhost.localdomain",
                "auth.example.org",
                Some("auth.example.org"),
            ),
            ("localhost", "auth.example.org", Some("auth.example.org")),
            ("10.0.0.1", "auth.example.org", Some("auth.example.org")),
            ("vps", "192.0.2.1", Some("[192.0.2.1]")),
            ("vps", "[2001:db8::1]", Some("[IPv6:2001:db8::1]")),
            ("vps", "localhost", None),
            ("vps", "app.localhost", None),
            ("vps", "auth", None),
            ("vps", "127.0.0.1", None),
            ("vps", "[::1]", None),
            ("vps", "[::ffff:127.0.0.1]", None),
        ] {
            let name = HeloName::by_default(hostname, public_host);
            assert_eq!(
                name.as_ref().map(HeloName::as_str),
                expected,
                "{hostname} {public_host}"
            );
        }
    }

    #[test]
    fn the_name_of_an_ipv6_host_has_no_brackets() {
        for (text, name, port) in [
            ("smtp://[2001:DB8::1]:587", "2001:db8::1", Some(587)),
            ("smtps://[::1]", "::1", None),
            ("smtp://192.0.2.1:25", "192.0.2.1", Some(25)),
            ("smtp://Mail.Example.org", "mail.example.org", None),
        ] {
            let url = SmtpUrl::parse(text).expect("it is the address of a mail server");
            assert_eq!((url.host_name().as_str(), url.port), (name, port), "{text}");
        }
    }
}
