//! The parts of the URL of a database: its hosts and its parameters.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::error::DatabaseUrlError;
use super::parts::{
    DatabaseAuthorities, DatabaseChannelBinding, DatabaseHost, DatabasePlace, DatabaseSession, DatabaseTls,
};

/// The port of PostgreSQL.
const PORT: u16 = 5432;
/// In seconds. After the longest one, every request that waits has been refused.
const CONNECT_TIMEOUTS: RangeInclusive<u64> = 1..=60;

/// The parameters that were not taken yet.
pub(super) struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    pub(super) fn of(query: &'a str) -> Result<Self, DatabaseUrlError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').ok_or(DatabaseUrlError::Form));
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The value of a parameter; `None` if it is not given or empty.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, DatabaseUrlError> {
        let mut values = self.0.extract_if(.., |(given, _)| *given == name);
        let Some((_, value)) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(DatabaseUrlError::Repeated(name));
        }
        let value = decoded(value)?;
        Ok((!value.is_empty()).then_some(value))
    }

    pub(super) fn path(&mut self, name: &'static str) -> Result<Option<PathBuf>, DatabaseUrlError> {
        match self.take(name)?.map(PathBuf::from) {
            Some(path) if !path.is_absolute() => {
                Err(DatabaseUrlError::Value(name, "the absolute path of a file"))
            }
            path => Ok(path),
        }
    }

    pub(super) fn tls(&mut self) -> Result<Option<DatabaseTls>, DatabaseUrlError> {
        Ok(Some(match self.take("sslmode")?.as_deref() {
            None => return Ok(None),
            Some("disable") => DatabaseTls::Off,
            Some("verify-ca") => DatabaseTls::VerifyAuthority,
            Some("verify-full") => DatabaseTls::VerifyHost,
            Some("require") => return Err(DatabaseUrlError::Unverified("require")),
            Some("prefer") => return Err(DatabaseUrlError::Unverified("prefer")),
            Some("allow") => return Err(DatabaseUrlError::Unverified("allow")),
            Some(_) => {
                let values = "verify-full, verify-ca or disable";
                return Err(DatabaseUrlError::Value("sslmode", values));
            }
        }))
    }

    pub(super) fn authorities(&mut self) -> Result<DatabaseAuthorities, DatabaseUrlError> {
        if self.0.contains(&("sslrootcert", "system")) {
            self.take("sslrootcert")?;
            return Ok(DatabaseAuthorities::System);
        }
        let file = self.path("sslrootcert")?;
        Ok(file.map_or(DatabaseAuthorities::WellKnown, DatabaseAuthorities::File))
    }

    pub(super) fn connect_timeout(&mut self) -> Result<Option<Duration>, DatabaseUrlError> {
        let refused = DatabaseUrlError::Value("connect_timeout", "a number of seconds from 1 to 60");
        let Some(text) = self.take("connect_timeout")? else {
            return Ok(None);
        };
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds| CONNECT_TIMEOUTS.contains(seconds));
        seconds
            .map(|seconds| Some(Duration::from_secs(seconds)))
            .ok_or(refused)
    }

    pub(super) fn session(&mut self) -> Result<DatabaseSession, DatabaseUrlError> {
        match self.take("target_session_attrs")?.as_deref() {
            None | Some("read-write" | "primary") => Ok(DatabaseSession::ReadWrite),
            Some("any") => Ok(DatabaseSession::Any),
            Some(_) => Err(DatabaseUrlError::Value(
                "target_session_attrs",
                "read-write or any",
            )),
        }
    }

    pub(super) fn channel_binding(&mut self) -> Result<DatabaseChannelBinding, DatabaseUrlError> {
        match self.take("channel_binding")?.as_deref() {
            None | Some("prefer") => Ok(DatabaseChannelBinding::Prefer),
            Some("disable") => Ok(DatabaseChannelBinding::Disable),
            Some("require") => Ok(DatabaseChannelBinding::Require),
            Some(_) => Err(DatabaseUrlError::Value(
                "channel_binding",
                "prefer, require or disable",
            )),
        }
    }

    pub(super) fn refuse_rest(&self) -> Result<(), DatabaseUrlError> {
        match self.0.first() {
            None => Ok(()),
            // A value that was split by mistake may be part of a secret, so only what looks like a name is repeated.
            Some((name, _))
                if name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') =>
            {
                Err(DatabaseUrlError::UnknownParameter((*name).to_owned()))
            }
            Some(_) => Err(DatabaseUrlError::Form),
        }
    }
}

/// The hosts between the user and the database, or those of the parameters.
pub(super) fn parse_hosts(
    text: &str,
    given: &mut Parameters<'_>,
) -> Result<Vec<DatabaseHost>, DatabaseUrlError> {
    let in_parameter = given.take("host")?;
    let ports = given.take("port")?;
    let ports: Vec<u16> = match &ports {
        Some(ports) => ports.split(',').map(parse_port).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let named: Vec<(String, Option<u16>)> = match &in_parameter {
        Some(_) if !text.is_empty() => return Err(DatabaseUrlError::Repeated("host")),
        Some(hosts) => hosts.split(',').map(|host| (host.to_owned(), None)).collect(),
        None => text.split(',').map(split_port).collect::<Result<_, _>>()?,
    };
    if ports.len() > 1 && ports.len() != named.len() {
        let values = "one number, or one for each host";
        return Err(DatabaseUrlError::Value("port", values));
    }
    let hosts = named.into_iter().enumerate().map(|(at, (name, port))| {
        if port.is_some() && !ports.is_empty() {
            return Err(DatabaseUrlError::Repeated("port"));
        }
        let port = port.or_else(|| ports.get(at).or(ports.first()).copied());
        DatabaseHost::of(name, port.unwrap_or(PORT))
    });
    hosts.collect()
}

impl DatabaseHost {
    fn of(name: String, port: u16) -> Result<Self, DatabaseUrlError> {
        let place = match name {
            path if path.starts_with('/') => DatabasePlace::Socket(path.into()),
            name if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-._:%".contains(c)) => {
                DatabasePlace::Network(name)
            }
            _ => return Err(DatabaseUrlError::Form),
        };
        Ok(Self { place, port })
    }
}

/// Splits `host:port` and `[address]:port`.
fn split_port(text: &str) -> Result<(String, Option<u16>), DatabaseUrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(DatabaseUrlError::Form)?;
            let port = (!port.is_empty()).then(|| port.strip_prefix(':').ok_or(DatabaseUrlError::Form));
            (address, port.transpose()?)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    Ok((decoded(host)?, port.map(parse_port).transpose()?))
}

fn parse_port(text: &str) -> Result<u16, DatabaseUrlError> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or(DatabaseUrlError::Value("port", "a number from 1 to 65535"))
}

pub(super) fn decoded(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| DatabaseUrlError::Encoding)?;
    // A NUL ends a text in the protocol.
    if decoded.contains('\0') {
        return Err(DatabaseUrlError::Encoding);
    }
    Ok(decoded.into_owned())
}
