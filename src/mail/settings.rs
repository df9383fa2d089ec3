//! The mail server, and how to use it.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::error::TransportError;
use super::stage::SmtpTimeouts;
use crate::domain::{HeloName, SmtpSecurity};
use crate::files::open_trusted;
use crate::tls::{ClientConfig, trusting_only, trusting_well_known};

/// A mail server, and how to connect to it and sign in.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    /// The argument of EHLO. `None` means this host's address on each connection.
    pub helo_name: Option<HeloName>,
    pub credentials: Option<Credentials>,
    /// The sender of all mails.
    pub from: Mailbox,
    /// A file of certificates in PEM form that are trusted instead of the well-known authorities.
    pub ca_file: Option<PathBuf>,
    pub timeouts: SmtpTimeouts,
}

#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: String,
    pub password: SecretString,
}

impl SmtpSettings {
    /// The TLS configuration with the trusted certificates; `None` if connections are not encrypted.
    pub(super) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, TransportError> {
        if self.security == SmtpSecurity::None {
            return Ok(None);
        }
        let Some(path) = &self.ca_file else {
            return Ok(Some(trusting_well_known()));
        };
        let path = path.clone();
        let mut pem = Vec::new();
        match open_trusted(&path).and_then(|mut file| file.read_to_end(&mut pem)) {
            Ok(_) => trusting_only(&pem)
                .map(Some)
                .map_err(|problem| TransportError::Certificates { path, problem }),
            Err(source) => Err(TransportError::CaFile { path, source }),
        }
    }
}
