//! Settings of the mail server that depend on several keys, and combinations of them that deserve a warning.

use url::Url;

use super::error::ConfigError;
use super::sections::Config;
use crate::domain::{HeloName, MailTransport, SmtpSecurity};

/// Message submission, with STARTTLS: RFC 6409 §3.1.
const SUBMISSION_PORT: u16 = 587;
/// Message submission over TLS from the first byte: RFC 8314 §7.3.
const SUBMISSIONS_PORT: u16 = 465;
/// Mail between servers, and to relays: RFC 5321 §4.5.4.2.
const RELAY_PORT: u16 = 25;

impl Config {
    /// When the connection to the mail server is encrypted. The default follows the scheme of its URL. `smtp://` to this machine itself is plain unless there is
    /// a `ca_file`, because nothing is in between and local servers seldom have a certificate.
    pub fn smtp_security(&self) -> SmtpSecurity {
        let default = match &self.mail.smtp_url {
            Some(url) if url.is_tls => SmtpSecurity::Tls,
            Some(url) if url.is_loopback() && self.mail.ca_file.is_none() => SmtpSecurity::None,
            _ => SmtpSecurity::StartTls,
        };
        self.mail.smtp_security.unwrap_or(default)
    }

    /// The port of the mail server if its URL names none. It is the port of relays only if `mail.smtp_security` is set to "none".
    pub fn smtp_default_port(&self) -> u16 {
        match (self.smtp_security(), self.mail.smtp_security) {
            (SmtpSecurity::Tls, _) => SUBMISSIONS_PORT,
            (SmtpSecurity::None, Some(_)) => RELAY_PORT,
            (SmtpSecurity::StartTls | SmtpSecurity::None, _) => SUBMISSION_PORT,
        }
    }

    /// The name with which this host greets the mail server, set or default. `None` means the host's address on each connection.
    pub fn helo_name(&self) -> Option<HeloName> {
        let default = || {
            let uname = rustix::system::uname();
            let public_url = Url::parse(self.public_origin().as_str()).ok()?;
            HeloName::by_default(&uname.nodename().to_string_lossy(), public_url.host_str()?)
        };
        self.mail.helo_name.clone().or_else(default)
    }

    /// Warnings about settings of the mail server that are accepted but probably wrong.
    pub(super) fn warnings_of_smtp(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let (mail, security) = (&self.mail, self.smtp_security());
        let is_used = self.mail_transport() == MailTransport::Smtp;
        let Some(url) = mail.smtp_url.as_ref().filter(|_| is_used) else {
            return warnings;
        };
        let (host, port) = (&url.host, url.port);
        if security == SmtpSecurity::None && !url.is_loopback() {
            let password = mail.smtp_password.as_ref();
            let also = password.map_or("", |_| ", and so can mail.smtp_password");
            warnings.push(format!(
                "mail.smtp_security is \"none\" and {host} is another machine: mails with their codes and links can be read and changed on \
                 the way{also}"
            ));
        }
        if security == SmtpSecurity::None && mail.ca_file.is_some() {
            warnings.push("mail.ca_file has no effect while mail.smtp_security is \"none\"".to_owned());
        }
        if port == Some(SUBMISSIONS_PORT) && security != SmtpSecurity::Tls {
            warnings.push(format!(
                "mail.smtp_url has port {SUBMISSIONS_PORT}, where mail servers expect TLS from the first byte: write smtps:// or set \
                 mail.smtp_security to \"tls\""
            ));
        }
        if security == SmtpSecurity::Tls
            && let Some(port @ (SUBMISSION_PORT | RELAY_PORT)) = port
        {
            warnings.push(format!(
                "mail.smtp_url has port {port}, where mail servers do not expect TLS from the first byte: \
                 write smtp:// and set mail.smtp_security to \"starttls\", or use port {SUBMISSIONS_PORT}"
            ));
        }
        warnings
    }

    /// Refuses a scheme and a security that contradict each other.
    pub(super) fn check_smtp_security(&self) -> Result<(), ConfigError> {
        let is_tls = self.mail.smtp_url.as_ref().is_some_and(|url| url.is_tls);
        let other = self.mail.smtp_security.filter(|set| *set != SmtpSecurity::Tls);
        let (true, Some(set)) = (is_tls, other) else {
            return Ok(());
        };
        let name = set.into_str();
        Err(self.refusal(
            &["mail.smtp_security"],
            &format!(
                "mail.smtp_security = \"{name}\" contradicts mail.smtp_url, whose scheme smtps:// means TLS from the first byte"
            ),
            format!("write smtp:// for \"{name}\", or leave out mail.smtp_security"),
        ))
    }
}
