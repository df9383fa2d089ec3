//! Where this server sends something: the accepted forms of addresses.

use url::{Host, Url};

use crate::domain::{Email, SmtpUrl, is_host_name, is_unprintable, trimmed};

/// Whether the host of an http(s) address is this machine itself: `localhost` or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether a URL names one host.
pub(super) fn has_exact_host(url: &Url) -> bool {
    // The parser decodes `%2A` in the hosts of http and https; of other schemes it keeps the text.
    let host = url.host_str().and_then(|host| Host::parse(host).ok());
    host.is_some_and(|host| is_exact(&host))
}

fn is_exact(host: &Host) -> bool {
    match host {
        Host::Domain(name) => is_host_name(name),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

/// The accepted form of [`parse_private_url`], in words.
pub(super) const PRIVATE_URL_FORM: &str =
    "an https address of one host, without user, fragment or star; http is accepted to this machine only";

/// Reads an address that a secret may be sent to.
pub(super) fn parse_private_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let is_plain = has_no_user(&url) && has_exact_host(&url) && url.fragment().is_none();
    (is_private && is_plain).then(|| url.into())
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Reads the name or the address of a host; an international name becomes ASCII (UTS 46), and all is in lower case.
pub(super) fn parse_host(text: &str) -> Option<String> {
    let host = Host::parse(text).ok().filter(is_exact)?.to_string();
    // A name with an empty label, also one behind a dot at its end, is compared as a text and equals no other.
    let has_labels = host.split('.').all(|label| !label.is_empty());
    has_labels.then_some(host)
}

/// The accepted form of [`parse_smtp_url`], in words.
pub(super) const SMTP_URL_FORM: &str = "\"smtp://host:587\" (STARTTLS) or \"smtps://host:465\" (TLS from the first byte), without path or \
                                        star; user and password are keys of their own";

/// Checks the address of a mail server; without a port it is the scheme's own.
pub(super) fn parse_smtp_url(text: &str) -> Option<String> {
    SmtpUrl::parse(text).map(|_| text.to_owned())
}

/// The accepted form of [`parse_sender`], in words.
pub(super) const SENDER_FORM: &str = "an address such as \"no-reply@example.org\" or \"Example <no-reply@example.org>\"; a name with punctuation stands in quotes of its own";

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

/// Words without the `specials` of RFC 5322 §3.2.3, or one quoted string without escapes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_tls_or_nowhere() {
        let https = "https://challenges.cloudflare.com/turnstile/v0/siteverify";
        assert_eq!(parse_private_url(https).as_deref(), Some(https));
        for text in [
            "http://127.0.0.1:9/verify",
            "http://localhost/",
            "http://[::1]:9/?a=b",
            "https://b\u{fc}cher.example/",
        ] {
            assert!(parse_private_url(text).is_some(), "{text}");
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
            assert_eq!(parse_private_url(text), None, "{text}");
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
            assert_eq!(parse_smtp_url(text).as_deref(), Some(text));
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
            assert_eq!(parse_smtp_url(text), None, "{text}");
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
            "Example <a@b.example> <c@d.example>",
            "Example <a@b.example> x",
        ] {
            assert_eq!(parse_sender(text), None, "{text:?}");
        }
    }
}
