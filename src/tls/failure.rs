//! Why TLS failed, in words for an operator.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use crate::domain::{Timestamp, is_unprintable};

/// The maximum number of hosts of a certificate that an error names.
const MAX_NAMES: usize = 5;

/// The kind of failure, which decides what the operator is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// No trusted authority has issued the certificate.
    Issuer,
    /// The certificate is not for servers.
    Purpose,
    /// The certificate is for another host.
    Name,
    /// The certificate has expired or is not valid yet.
    Dates,
    /// The other side does not speak TLS.
    NotTls,
    Other,
}

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TlsFailure {
    pub problem: TlsProblem,
    /// A clause about the server, such as `its certificate expired on 2026-01-01`.
    text: String,
}

impl TlsFailure {
    /// Finds the TLS failure in an error of a stream; `None` if the error is not about TLS.
    pub fn of_io(error: &io::Error) -> Option<Self> {
        let error: &Error = error.get_ref()?.downcast_ref()?;
        Some(error.into())
    }
}

impl From<&Error> for TlsFailure {
    fn from(error: &Error) -> Self {
        let (problem, text) = match error {
            Error::InvalidCertificate(error) => judge(error),
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
                (TlsProblem::NotTls, "it does not speak TLS there".to_owned())
            }
            Error::AlertReceived(alert) => {
                let alert = alert
                    .as_str()
                    .map_or_else(|| u8::from(*alert).to_string(), separated);
                (
                    TlsProblem::Other,
                    format!("it ended TLS with the alert \"{alert}\""),
                )
            }
            Error::PeerIncompatible(_) => (
                TlsProblem::Other,
                "it has no version or cipher of TLS that is accepted (TLS 1.2 or 1.3)".to_owned(),
            ),
            Error::NoCertificatesPresented => (TlsProblem::Other, "it shows no certificate".to_owned()),
            _ => (TlsProblem::Other, "it breaks the rules of TLS".to_owned()),
        };
        Self { problem, text }
    }
}

/// Writes `HandshakeFailure` as `handshake failure`.
fn separated(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// What is wrong with a certificate: the kind of problem, and a text for the operator.
pub(super) fn judge(error: &CertificateError) -> (TlsProblem, String) {
    use CertificateError as E;
    use TlsProblem::{Dates, Issuer, Name, Other, Purpose};
    let (problem, text) = match error {
        E::UnknownIssuer => (
            Issuer,
            "no authority that is trusted here has issued its certificate",
        ),
        E::ExpiredContext { not_after, .. } => {
            return (Dates, format!("its certificate expired on {}", date(*not_after)));
        }
        E::Expired => (Dates, "its certificate has expired"),
        E::NotValidYetContext { not_before, .. } => {
            let text = format!("its certificate is not valid before {}", date(*not_before));
            return (Dates, text);
        }
        E::NotValidYet => (Dates, "its certificate is not valid yet"),
        E::NotValidForNameContext { expected, presented } => {
            let (names, expected) = (named(presented), expected.to_str());
            return (
                Name,
                format!("its certificate is for {names}, and not for {expected}"),
            );
        }
        E::NotValidForName => (Name, "its certificate is for another host"),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            (Purpose, "its certificate is for another purpose than a server's")
        }
        E::Revoked => (Other, "its certificate was revoked"),
        E::BadEncoding => (Other, "its certificate cannot be read"),
        E::BadSignature => (Other, "its certificate has a wrong signature"),
        // The library has no variants for these errors.
        E::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => (
                Issuer,
                "its certificate signs itself, and is not among those that are trusted",
            ),
            "UnsupportedCertVersion" => (
                Other,
                "its certificate is of version 1 of X.509, which is not accepted",
            ),
            _ => (Other, "its certificate cannot be used"),
        },
        _ => (Other, "its certificate cannot be used"),
    };
    (problem, text.to_owned())
}

/// The hosts of a certificate, from texts such as `DnsName("mail.example.org")`. The server chose them, so there may be
/// hundreds, and some may have unprintable characters.
fn named(presented: &[String]) -> String {
    let of_text = |text: &String| -> String {
        let inner = text
            .split_once('(')
            .and_then(|(_, inner)| inner.strip_suffix(')'));
        let name = inner.unwrap_or(text).trim_matches('"');
        name.chars().filter(|c| !is_unprintable(*c)).collect()
    };
    if presented.is_empty() {
        return "no host (it has no alternative name)".to_owned();
    }
    let names: Vec<String> = presented.iter().take(MAX_NAMES).map(of_text).collect();
    names.join(", ")
}

fn date(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let text = Timestamp::from_millis(seconds.saturating_mul(1000)).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
