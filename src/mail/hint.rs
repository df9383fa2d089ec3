//! What an operator can do about common mistakes with mail servers: ports, TLS, sign-in, names and senders.

use super::error::Failure;
use super::reply::Reply;
use super::settings::SmtpSettings;
use super::stage::Stage;
use crate::domain::SmtpSecurity;
use crate::tls::TlsProblem;

/// The port on which TLS begins with the first byte (RFC 8314 §7.3).
const SUBMISSIONS: u16 = 465;

impl SmtpSettings {
    /// What the operator can do about a failure at `stage`; `helo` is the argument of EHLO.
    pub(super) fn hint(&self, stage: Stage, failure: &Failure, helo: &str) -> Option<String> {
        let begins_with_tls = self.security == SmtpSecurity::Tls;
        match failure {
            Failure::Refused(reply) => self.hint_of_reply(stage, reply, helo),
            Failure::Tls(failure) => self.hint_of_tls(failure.problem),
            Failure::NoStartTls => Some(format!(
                "use its port {SUBMISSIONS} with TLS from the first byte (smtps://{}:{SUBMISSIONS}); only for a relay on a private network: \
                 mail.smtp_security = \"none\"",
                self.url_host()
            )),
            Failure::NoSignIn { offers_starttls: true } if self.security == SmtpSecurity::None => {
                Some(wants_starttls())
            }
            Failure::NoSignIn { .. } if self.port == 25 => Some(
                "port 25 is for mail between servers: use the server's port 587 or 465 to sign in".to_owned(),
            ),
            Failure::NoSignIn { .. } => Some(
                "if the server takes mail from this host without a sign-in, leave out mail.smtp_user and mail.smtp_password".to_owned(),
            ),
            Failure::Silent(_) if stage == Stage::Connect && self.port == 25 => {
                Some("many networks block port 25: use the server's port 587 or 465".to_owned())
            }
            Failure::Silent(_) if stage == Stage::Hello && !begins_with_tls => Some(self.expects_tls()),
            Failure::Silent(_) | Failure::Broken(_) => match stage {
                Stage::Greeting if !begins_with_tls => Some(self.expects_tls()),
                Stage::Tls if begins_with_tls => Some(self.expects_no_tls()),
                _ => None,
            },
        }
    }

    fn hint_of_reply(&self, stage: Stage, reply: &Reply, helo: &str) -> Option<String> {
        let (code, words) = (reply.code, reply.words.to_ascii_lowercase());
        let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
        let wants_tls = code == 538 || (says(&["starttls", "tls"]) && matches!(code, 523 | 530 | 550 | 554));
        if wants_tls && self.security == SmtpSecurity::None {
            return Some(wants_starttls());
        }
        // Postfix reports a bad EHLO or sender only in its reply to RCPT.
        if stage == Stage::Hello || says(&["helo", "ehlo"]) {
            return Some(format!(
                "set mail.helo_name to the full name of this host in the DNS; it greets as {helo}"
            ));
        }
        if stage == Stage::SignIn {
            return matches!(code, 534 | 535).then(|| {
                "compare mail.smtp_user and mail.smtp_password; Gmail, iCloud, Yahoo, Fastmail, Zoho and Microsoft 365 take an app password \
                 instead of the account's own"
                    .to_owned()
            });
        }
        if code == 530 || says(&["authentication required", "not authenticated", "relay"]) {
            return Some(match self.credentials {
                Some(_) => "allow mail.smtp_user, or the address of this host, to send through the mail server".to_owned(),
                None => "set mail.smtp_user and mail.smtp_password, or let the mail server take mail from the address of this host".to_owned(),
            });
        }
        if stage == Stage::Recipient && matches!(code, 550 | 553) && !says(&["sender"]) {
            return Some(
                "see whether the recipient's address is right and the mail server takes mail for it"
                    .to_owned(),
            );
        }
        (stage == Stage::Sender || says(&["sender address", "send as", "from address"])).then(|| {
            format!(
                "set mail.from to an address from which the server lets this host or mail.smtp_user send; it is {}",
                self.from.email
            )
        })
    }

    fn hint_of_tls(&self, problem: TlsProblem) -> Option<String> {
        Some(match problem {
            TlsProblem::NotTls if self.security == SmtpSecurity::Tls => self.expects_no_tls(),
            TlsProblem::Issuer if self.ca_file.is_some() => {
                "the certificate is neither in mail.ca_file nor issued by one in it; if it was renewed, replace it there".to_owned()
            }
            TlsProblem::Issuer => {
                "if the server is your own, put its certificate (PEM) into a file, and name that with mail.ca_file".to_owned()
            }
            TlsProblem::Name => format!(
                "name the server in mail.smtp_url as its certificate does, or give it a certificate for {}",
                self.host
            ),
            TlsProblem::Dates => {
                "renew the certificate on the mail server, and in mail.ca_file if it is there; compare the clocks of both".to_owned()
            }
            _ => return None,
        })
    }

    fn expects_tls(&self) -> String {
        format!(
            "if the server expects TLS from the first byte on port {}, as on port {SUBMISSIONS}: mail.smtp_security = \"tls\"",
            self.port
        )
    }

    fn expects_no_tls(&self) -> String {
        let (host, port) = (self.url_host(), self.port);
        format!(
            "if the server begins without TLS on port {port}, as on port 587: mail.smtp_url = \"smtp://{host}:{port}\" and mail.smtp_security = \"starttls\""
        )
    }

    /// The host as written in a URL: an IPv6 address is in brackets.
    fn url_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

fn wants_starttls() -> String {
    "the server wants TLS before that: mail.smtp_security = \"starttls\"".to_owned()
}
