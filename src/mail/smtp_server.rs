//! Which mail server, how it is spoken to, and as whom: read from the configuration.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters, TlsParametersBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::error::TransportError;
use super::message::parse_from;
use super::patience::Patience;
use crate::files::open_trusted;

/// Message submission, with STARTTLS: RFC 6409 §3.1.
const SUBMISSION_PORT: u16 = 587;
/// Message submission over implicit TLS: RFC 8314 §7.3.
const SUBMISSIONS_PORT: u16 = 465;

/// What the configuration says of the mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// `smtps://host[:465]` for TLS from the first byte, `smtp://host[:587]` for STARTTLS, without which nothing is sent.
    ///
    /// To a loopback host (`localhost`, `127.0.0.0/8`, `::1`), `smtp://` is plain, because nobody is in between and servers there seldom have a
    /// certificate; with a `ca_file` STARTTLS is required there too.
    pub url: String,
    /// Who signs in; empty for nobody.
    pub user: String,
    /// The user's password.
    pub password: Option<SecretString>,
    /// The sender of all mails, as in `Example <no-reply@example.org>`.
    pub from: String,
    /// Authorities in PEM form that are trusted instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// How long the mail server may take.
    pub patience: Patience,
}

/// When a connection is encrypted.
pub(super) enum Encryption {
    Implicit(TlsParameters),
    StartTls(TlsParameters),
    None,
}

/// The settings, checked.
pub(super) struct SmtpServer {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<Credentials>,
    pub(super) from: Mailbox,
}

impl SmtpServer {
    pub(super) fn new(settings: &SmtpSettings) -> Result<Self, TransportError> {
        let url = Url::parse(&settings.url).map_err(|_| TransportError::Url)?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        // The crate parses hosts of schemes that browsers do not know less strictly.
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(|_| TransportError::Url)?;
        let name = match &host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let default_port = match url.scheme() {
            "smtp" if is_bare => SUBMISSION_PORT,
            "smtps" if is_bare => SUBMISSIONS_PORT,
            _ => return Err(TransportError::Url),
        };
        let encryption = if url.scheme() == "smtps" {
            Encryption::Implicit(tls(&name, settings.ca_file.as_deref())?)
        } else if is_loopback(&host) && settings.ca_file.is_none() {
            Encryption::None
        } else {
            Encryption::StartTls(tls(&name, settings.ca_file.as_deref())?)
        };
        Ok(Self {
            host: name,
            port: url.port().unwrap_or(default_port),
            encryption,
            credentials: credentials(settings)?,
            from: parse_from(&settings.from)?,
        })
    }
}

fn credentials(settings: &SmtpSettings) -> Result<Option<Credentials>, TransportError> {
    match (&settings.password, settings.user.as_str()) {
        (None, "") => Ok(None),
        (Some(password), user) if !user.is_empty() => Ok(Some(Credentials::new(
            user.to_owned(),
            password.expose_secret().to_owned(),
        ))),
        _ => Err(TransportError::Credentials),
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

fn tls(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, TransportError> {
    let builder = TlsParametersBuilder::new(host.to_owned());
    let Some(path) = ca_file else {
        return builder.build().map_err(|_| TransportError::Url);
    };
    let mut pem = Vec::new();
    open_trusted(path)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(|source| TransportError::CaFile {
            path: path.to_owned(),
            source,
        })?;
    let no_certificate = || TransportError::NoCertificate(path.to_owned());
    // A file without any would be read without an error and then trust nobody.
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(no_certificate());
    }
    let authorities = Certificate::from_pem(&pem).map_err(|_| no_certificate())?;
    builder
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authorities)
        .build()
        .map_err(|_| no_certificate())
}
