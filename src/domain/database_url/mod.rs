//! The address of a PostgreSQL database, and how connections to it are protected.

mod error;
mod parameters;
mod parts;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use error::DatabaseUrlError;
use parameters::{Parameters, decoded, parse_hosts};
pub use parts::{
    DatabaseAuthorities, DatabaseChannelBinding, DatabaseHost, DatabasePlace, DatabaseSession, DatabaseTls,
};

/// `postgres://user:password@host:port/database?parameter=value`, which may contain a password.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    /// In the order in which they are tried; at least one.
    pub hosts: Vec<DatabaseHost>,
    pub user: String,
    pub password: Option<SecretString>,
    pub database: String,
    /// `None` if it depends on the host.
    pub tls: Option<DatabaseTls>,
    pub authorities: DatabaseAuthorities,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// A file with passwords in the form of libpq.
    pub pass_file: Option<PathBuf>,
    /// How long connecting to one address may take; `None` if it is not set.
    pub connect_timeout: Option<Duration>,
    pub session: DatabaseSession,
    pub channel_binding: DatabaseChannelBinding,
    pub application_name: Option<String>,
    /// Settings for the sessions, such as `-c search_path=auth`.
    pub options: Option<String>,
    shown: String,
}

impl DatabaseUrl {
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '#') {
            return Err(DatabaseUrlError::Form);
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or(DatabaseUrlError::Form)?;
        // By hand, because a URL with a user and no host is none for the URL parser, and several hosts are none either. The last @ ends what is secret.
        let (who, address) = rest.rsplit_once('@').unwrap_or(("", rest));
        if who.contains(['/', '?', '@']) {
            return Err(DatabaseUrlError::Encoding);
        }
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let (hosts, database) = address.split_once('/').ok_or(DatabaseUrlError::Form)?;
        if database.is_empty() || database.contains('/') {
            return Err(DatabaseUrlError::Form);
        }
        let mut given = Parameters::of(query)?;
        let url = Self {
            hosts: parse_hosts(hosts, &mut given)?,
            user: String::new(),
            password: None,
            database: decoded(database)?,
            tls: given.tls()?,
            authorities: given.authorities()?,
            client_certificate: given.path("sslcert")?,
            client_key: given.path("sslkey")?,
            pass_file: given.path("passfile")?,
            connect_timeout: given.connect_timeout()?,
            session: given.session()?,
            channel_binding: given.channel_binding()?,
            application_name: given.take("application_name")?,
            options: given.take("options")?,
            shown: format!("postgres://{hosts}/{database}"),
        };
        let url = url.of_user(who, &mut given)?;
        given.refuse_rest()?;
        url.check_together()
    }

    fn of_user(self, who: &str, given: &mut Parameters<'_>) -> Result<Self, DatabaseUrlError> {
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (who, None),
        };
        let user = match given.take("user")? {
            Some(_) if !user.is_empty() => return Err(DatabaseUrlError::Repeated("user")),
            Some(user) => user,
            None => decoded(user)?,
        };
        let password = match given.take("password")? {
            Some(_) if password.is_some() => return Err(DatabaseUrlError::Repeated("password")),
            other => other.or(password),
        };
        if user.is_empty() {
            return Err(DatabaseUrlError::NoUser);
        }
        let password = password
            .filter(|password| !password.is_empty())
            .map(SecretString::from);
        Ok(Self {
            user,
            password,
            ..self
        })
    }

    fn check_together(self) -> Result<Self, DatabaseUrlError> {
        let is_file = matches!(self.authorities, DatabaseAuthorities::File(_));
        if self.tls == Some(DatabaseTls::VerifyAuthority) && !is_file {
            return Err(DatabaseUrlError::AnyHost);
        }
        match (&self.client_certificate, &self.client_key) {
            (Some(_), None) => return Err(DatabaseUrlError::Alone("sslkey", "sslcert")),
            (None, Some(_)) => return Err(DatabaseUrlError::Alone("sslcert", "sslkey")),
            _ => {}
        }
        if self
            .hosts
            .iter()
            .all(|host| self.tls_of(host) == DatabaseTls::Off)
        {
            if self.authorities != DatabaseAuthorities::WellKnown {
                return Err(DatabaseUrlError::NoTls("sslrootcert"));
            }
            if self.client_key.is_some() {
                return Err(DatabaseUrlError::NoTls("sslcert"));
            }
            if self.channel_binding == DatabaseChannelBinding::Require {
                return Err(DatabaseUrlError::NoTls("channel_binding=require"));
            }
        }
        Ok(self)
    }

    /// How connections to `host` are protected. Only root can read those that stay on this machine, so they use TLS only over TCP and only if it is asked for.
    pub fn tls_of(&self, host: &DatabaseHost) -> DatabaseTls {
        match (&host.place, self.tls) {
            (DatabasePlace::Socket(_), _) => DatabaseTls::Off,
            (DatabasePlace::Network(_), Some(tls)) => tls,
            (DatabasePlace::Network(_), None) if host.is_this_machine() => DatabaseTls::Off,
            (DatabasePlace::Network(_), None) => DatabaseTls::VerifyHost,
        }
    }

    /// Whether passwords, digests and mail addresses cross a network that others may read.
    pub fn is_exposed(&self) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|host| !host.is_this_machine() && self.tls_of(host) == DatabaseTls::Off)
    }

    /// The URL without user, password and parameters.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

#[cfg(test)]
mod tests;
