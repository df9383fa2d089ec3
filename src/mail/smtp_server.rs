//! Which mail server, how it is spoken to, and as whom: read from the configuration.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lettre::message::Mailbox;
use secrecy::SecretString;
use url::{Host, Url};

use super::error::TransportError;
use super::message::parse_from;
use super::patience::SmtpTimeouts;
use crate::domain::{HeloName, SmtpSecurity};
use crate::files::open_trusted;
use crate::tls::{ClientConfig, trusting_only, trusting_well_known};

/// What the configuration says of the mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// `smtp://host[:port]` or `smtps://host[:port]`.
    pub url: String,
    /// The port if the URL has none.
    pub default_port: u16,
    /// When the conversation is encrypted.
    pub security: SmtpSecurity,
    /// What EHLO says; `None` for the address of each connection.
    pub helo_name: Option<HeloName>,
    /// Who signs in; empty for nobody.
    pub user: String,
    /// The user's password.
    pub password: Option<SecretString>,
    /// The sender of all mails, as in `Example <no-reply@example.org>`.
    pub from: String,
    /// Certificates in PEM form that are trusted instead of the well-known authorities.
    pub ca_file: Option<PathBuf>,
    /// How long the mail server may take.
    pub timeouts: SmtpTimeouts,
}

/// When a connection is encrypted, and who is trusted then.
pub(super) enum Encryption {
    Implicit(Arc<ClientConfig>),
    StartTls(Arc<ClientConfig>),
    None,
}

/// Who signs in.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// The settings, checked.
pub(super) struct SmtpServer {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: SmtpSecurity,
    pub(super) encryption: Encryption,
    pub(super) has_ca_file: bool,
    pub(super) helo_name: Option<HeloName>,
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
        if !is_bare || !matches!(url.scheme(), "smtp" | "smtps") {
            return Err(TransportError::Url);
        }
        // The crate parses hosts of schemes that browsers do not know less strictly.
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(|_| TransportError::Url)?;
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let ca_file = settings.ca_file.as_deref();
        Ok(Self {
            host,
            port: url.port().unwrap_or(settings.default_port),
            security: settings.security,
            encryption: match settings.security {
                SmtpSecurity::Tls => Encryption::Implicit(trusted(ca_file)?),
                SmtpSecurity::StartTls => Encryption::StartTls(trusted(ca_file)?),
                SmtpSecurity::None => Encryption::None,
            },
            has_ca_file: ca_file.is_some(),
            helo_name: settings.helo_name.clone(),
            credentials: credentials(settings)?,
            from: parse_from(&settings.from)?,
        })
    }
}

fn credentials(settings: &SmtpSettings) -> Result<Option<Credentials>, TransportError> {
    match (&settings.password, settings.user.as_str()) {
        (None, "") => Ok(None),
        (Some(password), user) if !user.is_empty() => Ok(Some(Credentials {
            user: user.to_owned(),
            password: password.clone(),
        })),
        _ => Err(TransportError::Credentials),
    }
}

fn trusted(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TransportError> {
    let Some(path) = ca_file else {
        return Ok(trusting_well_known());
    };
    let mut pem = Vec::new();
    open_trusted(path)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(|source| TransportError::CaFile {
            path: path.to_owned(),
            source,
        })?;
    trusting_only(&pem).map_err(|problem| TransportError::Certificates {
        path: path.to_owned(),
        problem,
    })
}
