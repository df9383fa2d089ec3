//! Parsers of origins, links, hosts and the addresses of other servers.

use url::{Host, Position, Url};

use crate::domain::{
    Email, ServiceName, checked_text, is_exact_host, is_this_machine, is_unprintable, parse_app_origin,
    trimmed,
};

/// An origin (RFC 6454 §6.1): scheme, host, and the port if it is not the default of the scheme, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// What [`Origin::parse`] accepts, for error texts.
    pub(super) const ACCEPTED: &str =
        "an http or https origin without path, query, user or star, such as \"https://auth.example.org\"";
    /// What [`Origin::parse_listed`] accepts, for error texts.
    pub(super) const ACCEPTED_LISTED: &str = "origins without path, query, user or star, each by itself: of web apps such as \"https://app.example.org\", of native \
         apps and extensions such as \"capacitor://localhost\", \"app://.\" or \"chrome-extension://\" and the id; \"null\" and \"file://\" name \
         no app: serve its pages from http, https or a scheme of its own";

    /// Reads an origin; a bare slash at the end is dropped.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.strip_suffix('/').unwrap_or(text).split_once("://")?;
        // The parser repairs malformed URLs, as browsers do; in a configuration they are refused.
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

    /// `http://localhost` with `port`; `None` is port 80.
    pub(super) fn localhost(port: Option<u16>) -> Self {
        Self(match port {
            None | Some(80) => "http://localhost".to_owned(),
            Some(port) => format!("http://localhost:{port}"),
        })
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The host as a service name, cut to its maximum length.
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

checked_text!(Origin);

/// Whether the host of an http(s) URL is this machine itself: `localhost` or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| is_this_machine(&host))
}

/// Whether a URL has a host that [`is_exact_host`] accepts.
pub(super) fn has_exact_host(url: &Url) -> bool {
    // `Url` decodes `%2A` in the hosts of http and https, but not of other schemes; `Host::parse` decodes it in all.
    let host = url.host_str().and_then(|host| Host::parse(host).ok());
    host.is_some_and(|host| is_exact_host(&host))
}

/// What [`parse_secure_url`] accepts, for error texts.
pub(super) const SECURE_URL: &str =
    "an https address of one host, without user, fragment or star; http is accepted to this machine only";

/// The longest URL that the HTTP client takes, in bytes.
const MAX_URL_BYTES: usize = 65_534;

/// Reads a URL that a secret may be sent to: https, or http on this machine.
pub(super) fn parse_secure_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let is_plain = has_no_user(&url) && has_exact_host(&url) && url.fragment().is_none();
    (is_secure && is_plain && url.as_str().len() <= MAX_URL_BYTES).then(|| url.into())
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Reads a host name or an IP address. The result is in lower case, and an international name becomes ASCII (UTS 46).
pub(super) fn parse_host(text: &str) -> Option<String> {
    let host = Host::parse(text).ok().filter(is_exact_host)?.to_string();
    // Hosts are compared as text, so a name with an empty label or with a dot at its end would never match.
    let has_labels = host.split('.').all(|label| !label.is_empty());
    has_labels.then_some(host)
}

/// What [`SmtpUrl::parse`](crate::domain::SmtpUrl::parse) accepts, for error texts.
pub(super) const SMTP_URL: &str = "\"smtp://host:587\" (STARTTLS) or \"smtps://host:465\" (TLS from the first byte), without path or \
                                        star; user and password are keys of their own";

/// What [`parse_sender`] accepts, for error texts.
pub(super) const SENDER: &str = "an address such as \"no-reply@example.org\" or \"Example <no-reply@example.org>\"; a name with punctuation stands in quotes of its own";

/// Reads a mailbox: `Name <address>` or an address alone (RFC 5322 §3.4, without comments). The address becomes ASCII.
pub(super) fn parse_sender(text: &str) -> Option<String> {
    let text = trimmed(text);
    let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) else {
        return Email::parse(text).ok().map(|address| address.to_string());
    };
    let address = Email::parse(address).ok()?;
    let name = name.trim();
    is_display_name(name).then(|| format!("{name} <{address}>").trim_start().to_owned())
}

/// Whether a name is words without the `specials` of RFC 5322 §3.2.3, or one quoted string without escapes.
fn is_display_name(name: &str) -> bool {
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let specials = if quoted.is_some() {
        "\"\\"
    } else {
        "()<>[]:;@\\,.\""
    };
    !quoted
        .unwrap_or(name)
        .chars()
        .any(|c| is_unprintable(c) || specials.contains(c))
}

/// Whether `template` is an http(s) link to one host with `placeholder` in its path, query or fragment. The only other placeholder that it may have is
/// `{app_url}` or `{public_url}`, at its beginning.
///
/// The token must not be in the authority: the host is sent to name servers, and browsers do not protect user and port as they protect the fragment.
pub(super) fn is_link(template: &str, placeholder: &str) -> bool {
    const ORIGINS: [&str; 2] = ["{app_url}", "{public_url}"];
    let rest = ORIGINS.iter().find_map(|origin| template.strip_prefix(origin));
    // Any other text after the placeholder could extend the host of the origin.
    if rest.is_some_and(|rest| !rest.starts_with(['/', '?', '#'])) {
        return false;
    }
    let template = rest.map_or(template.to_owned(), |rest| format!("https://app.example{rest}"));
    // Mail readers parse malformed links differently than browsers do, so these are refused.
    let authority = template.split_once("://").map(|(scheme, rest)| {
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        (is_web, &rest[..end])
    });
    let is_plain = authority
        .is_some_and(|(is_web, authority)| is_web && !authority.is_empty() && !authority.contains('@'))
        && !template.contains(['\\', '"', '<', '>']);
    // If the text before the path changes with the value of the placeholder, the placeholder is in that text.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SmtpUrl;

    #[test]
    fn secrets_go_over_tls_or_stay_on_this_machine() {
        let https = "https://challenges.cloudflare.com/turnstile/v0/siteverify";
        assert_eq!(parse_secure_url(https).as_deref(), Some(https));
        for text in [
            "http://127.0.0.1:9/verify",
            "http://localhost/",
            "http://[::1]:9/?a=b",
            "https://b\u{fc}cher.example/",
        ] {
            assert!(parse_secure_url(text).is_some(), "{text}");
        }
        for text in [
            "http://example.org/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "http://127.0.0.1@example.org/",
            "https://user:secret@example.org/",
            "https://example.org/#fragment",
            "https://*.example.org/",
            "https://%2A.example.org/",
            "ftp://localhost/",
            "https:",
            "example.org",
            "",
        ] {
            assert_eq!(parse_secure_url(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_have_one_form() {
        for (text, host) in [
            ("Auth.Example.org", "auth.example.org"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(parse_host(text).as_deref(), Some(host));
        }
        for text in [
            "",
            "https://a.example",
            "a.example:443",
            "a.example/",
            "*.example",
            "%2a.example",
            ".example",
            "a..example",
            "a.example.",
            "\u{ff0a}.example",
            "a b",
        ] {
            assert_eq!(parse_host(text), None, "{text}");
        }
    }

    #[test]
    fn mail_servers_have_a_scheme_and_a_host() {
        for text in [
            "smtp://mail.example.org:587",
            "smtps://mail.example.org",
            "smtp://127.0.0.1:25",
            "smtp://[::1]:25/",
        ] {
            assert_eq!(
                SmtpUrl::parse(text).map(|url| url.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in [
            "mail.example.org:587",
            "smtp:mail.example.org",
            "smtp://",
            "smtp://:25",
            "http://mail.example.org",
            "smtp://user:secret@mail.example.org",
            "smtp://mail.example.org/path",
            "smtp://mail.example.org?tls=off",
            "smtp://mail.example.org:65536",
            "smtp://mail example.org",
            "\0smtp://mail.example.org",
            "smtp://@mail.example.org",
            "smtp://mail.example.org\n",
        ] {
            assert_eq!(SmtpUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn senders_are_mailboxes() {
        for (text, sender) in [
            ("no-reply@localhost", "no-reply@localhost"),
            ("<no-reply@a.example>", "<no-reply@a.example>"),
            ("Example <no-reply@a.example>", "Example <no-reply@a.example>"),
            (
                "Jo\u{e3}o & Co <a@b\u{fc}cher.example>",
                "Jo\u{e3}o & Co <a@xn--bcher-kva.example>",
            ),
            (
                "\"Example, Inc. (EU)\" <a@b.example>",
                "\"Example, Inc. (EU)\" <a@b.example>",
            ),
        ] {
            assert_eq!(parse_sender(text).as_deref(), Some(sender));
        }
        for text in [
            "",
            "Example",
            "Example <>",
            "Example no-reply@a.example",
            "a@b.example, c@d.example",
            "Example, Inc. <a@b.example>",
            "a@b.example <a@b.example>",
            "\"Example <a@b.example>",
            "\"Ark\"loop\" <a@b.example>",
            "Ark\r\nBcc: c@d.example <a@b.example>",
            "\"A\r\nB\" <a@b.example>",
            "a@b.example\r\nBcc: c@d.example",
            "\u{e4}@b.example",
            "Example <a@b.example> <c@d.example>",
            "Example <a@b.example> x",
        ] {
            assert_eq!(parse_sender(text), None, "{text:?}");
        }
    }
}
