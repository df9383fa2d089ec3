//! Where connections go, and how each of them begins: the hosts in turn, TLS, and the password.
//!
//! Files are read for each connection, so that a certificate or a password that was replaced is used without a restart.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use postgres::{Client, Config, NoTls};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::not_connected;
use super::pass_file::find_password;
use super::tls::Tls;
use crate::domain::{
    DatabaseAuthorities, DatabaseChannelBinding, DatabaseHost, DatabasePlace, DatabaseSession, DatabaseTls,
    DatabaseUrl,
};
use crate::files::{Untrusted, open_trusted, read_secret};
use crate::store::{ConnectionFlaw, NotConnected};
use crate::tls::{Authorities, HostCheck, Identity, UnusableFile, trusting};

/// How long connecting to an address may take, if the URL does not say it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long TLS, sign-in and the first answer may take after that. The client itself bounds only the connection.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection that was silent for this long is probed. Firewalls forget connections only after minutes.
const PROBE_AFTER: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBES: u32 = 2;
/// How long the other side may take to acknowledge what was sent. A write is given up after ten seconds (`WRITE_TIMEOUT`): the writer must notice before that
/// its connection is lost, and have a new one for the next write.
const UNACKNOWLEDGED: Duration = Duration::from_secs(9);

#[derive(Clone)]
pub(super) struct Target {
    url: DatabaseUrl,
}

impl Target {
    pub(super) fn of(url: &DatabaseUrl) -> Self {
        Self { url: url.clone() }
    }

    /// Connects to the first host that admits it.
    pub(super) fn connect(&self) -> Result<Client, NotConnected> {
        let mut refusals = Vec::new();
        for host in &self.url.hosts {
            match self.connect_to(host) {
                Ok(client) => return Ok(client),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(NotConnected::joined(refusals))
    }

    fn connect_to(&self, host: &DatabaseHost) -> Result<Client, NotConnected> {
        let config = self.config(host)?;
        let tls = match self.url.tls_of(host) {
            DatabaseTls::Off => None,
            DatabaseTls::VerifyAuthority => Some(self.tls(HostCheck::Off)?),
            DatabaseTls::VerifyHost => Some(self.tls(HostCheck::Strict)?),
        };
        let patience = self.url.connect_timeout.unwrap_or(CONNECT_TIMEOUT) + HANDSHAKE;
        let connected = within(patience, move || match tls {
            None => config.connect(NoTls),
            Some(tls) => config.connect(tls),
        });
        let silent = || {
            let reason = format!("{}: it does not answer", shown(host));
            NotConnected::new(reason, ConnectionFlaw::Network)
        };
        let connected = connected.ok_or_else(silent)?;
        connected.map_err(|error| not_connected(&shown(host), &error))
    }

    fn config(&self, host: &DatabaseHost) -> Result<Config, NotConnected> {
        let url = &self.url;
        let mut config = Config::new();
        match &host.place {
            DatabasePlace::Socket(path) => config.host_path(path),
            DatabasePlace::Network(name) => config.host(name),
        };
        config
            .port(host.port)
            .user(&url.user)
            .dbname(&url.database)
            .application_name(url.application_name.as_deref().unwrap_or("arkloop"))
            .connect_timeout(url.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
            .keepalives(true)
            .keepalives_idle(PROBE_AFTER)
            .keepalives_interval(PROBE_EVERY)
            .keepalives_retries(PROBES)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .ssl_mode(match url.tls_of(host) {
                DatabaseTls::Off => SslMode::Disable,
                DatabaseTls::VerifyAuthority | DatabaseTls::VerifyHost => SslMode::Require,
            })
            .channel_binding(match url.channel_binding {
                DatabaseChannelBinding::Disable => ChannelBinding::Disable,
                DatabaseChannelBinding::Prefer => ChannelBinding::Prefer,
                DatabaseChannelBinding::Require => ChannelBinding::Require,
            })
            .target_session_attrs(match url.session {
                DatabaseSession::ReadWrite => TargetSessionAttrs::ReadWrite,
                DatabaseSession::Any => TargetSessionAttrs::Any,
            });
        if let Some(options) = &url.options {
            config.options(options);
        }
        if let Some(password) = self.password(host)? {
            config.password(password.expose_secret());
        }
        Ok(config)
    }

    /// The password of the URL, or that of the password file.
    fn password(&self, host: &DatabaseHost) -> Result<Option<SecretString>, NotConnected> {
        let url = &self.url;
        let (Some(path), None) = (&url.pass_file, &url.password) else {
            return Ok(url.password.clone());
        };
        let bytes = secret(path)?;
        let found = find_password(&String::from_utf8_lossy(&bytes), host, &url.database, &url.user);
        let line = format!("{}:{}:{}", shown(host), host.port, url.database);
        found.map(Some).ok_or_else(|| {
            let reason = format!("{} has no line for {line} and this user", path.display());
            NotConnected::new(reason, ConnectionFlaw::Login)
        })
    }

    fn tls(&self, host: HostCheck) -> Result<Tls, NotConnected> {
        let url = &self.url;
        let pem = match &url.authorities {
            DatabaseAuthorities::File(path) => Some(certificates(path)?),
            _ => None,
        };
        let authorities = match (&url.authorities, &pem) {
            (_, Some(pem)) => Authorities::Only(pem),
            (DatabaseAuthorities::System, _) => Authorities::System,
            _ => Authorities::WellKnown,
        };
        let chain = url.client_certificate.as_deref().map(certificates).transpose()?;
        let key = url.client_key.as_deref().map(secret).transpose()?;
        let identity = chain.as_ref().zip(key.as_ref());
        let identity = identity.map(|(certificates, private_key)| Identity {
            certificates,
            private_key,
        });
        let config = trusting(authorities, host, identity);
        config.map(Tls).map_err(|flaw| self.unusable(flaw))
    }

    fn unusable(&self, flaw: UnusableFile) -> NotConnected {
        let path = match (flaw, &self.url.authorities) {
            (UnusableFile::Authorities(_), DatabaseAuthorities::File(path)) => Some(path),
            (UnusableFile::Authorities(_), _) => None,
            (UnusableFile::Certificates(_), _) => self.url.client_certificate.as_ref(),
            (UnusableFile::Key | UnusableFile::OtherKey, _) => self.url.client_key.as_ref(),
        };
        let path = path.map_or_else(|| "this machine".to_owned(), |path| path.display().to_string());
        NotConnected::new(format!("{path} {flaw}"), ConnectionFlaw::File(None))
    }
}

/// Reads a file of certificates. Refuses a file that users other than its owner and root can write.
fn certificates(path: &Path) -> Result<Vec<u8>, NotConnected> {
    let read = open_trusted(path).and_then(|mut file| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    });
    read.map_err(|error| unreadable(path, &error))
}

fn secret(path: &Path) -> Result<Vec<u8>, NotConnected> {
    read_secret(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> NotConnected {
    let untrusted = Untrusted::within(error);
    let reason = match untrusted {
        Some(untrusted) => untrusted.to_string(),
        None => format!("{} cannot be read: {error}", path.display()),
    };
    let mend = untrusted.and_then(Untrusted::mend);
    NotConnected::new(reason, ConnectionFlaw::File(mend))
}

/// What errors call a host.
fn shown(host: &DatabaseHost) -> String {
    match &host.place {
        DatabasePlace::Socket(path) => path.display().to_string(),
        DatabasePlace::Network(name) => name.clone(),
    }
}

/// What `work` returns, unless it takes longer than `patience`: then its thread is left to itself.
fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    let work = move || {
        // The caller may have given up.
        let _ = answer.send(work());
    };
    let thread = thread::Builder::new().name("connecting".to_owned()).spawn(work);
    thread.ok()?;
    answered.recv_timeout(patience).ok()
}
