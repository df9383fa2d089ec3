//! The parts of the URL of a database.

use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseHost {
    pub place: DatabasePlace,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabasePlace {
    /// The directory of a unix socket.
    Socket(PathBuf),
    /// A host name, or an address without brackets.
    Network(String),
}

/// How a connection over a network is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Not at all.
    Off,
    /// By TLS with a server whose certificate an authority in a file of the operator has issued, for whatever host.
    VerifyAuthority,
    /// By TLS with a server that has a certificate for its host.
    VerifyHost,
}

/// Which authorities may have issued the certificate of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseAuthorities {
    /// Those that Mozilla trusts.
    WellKnown,
    /// Those that this machine trusts.
    System,
    File(PathBuf),
}

/// Which servers are used (`target_session_attrs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseSession {
    /// Only one that takes writes.
    ReadWrite,
    Any,
}

/// Whether the exchange of the password is bound to the TLS connection (RFC 5929 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseChannelBinding {
    Disable,
    Prefer,
    Require,
}

impl DatabaseHost {
    /// Whether a connection to the host stays on this machine.
    pub fn is_this_machine(&self) -> bool {
        match &self.place {
            DatabasePlace::Socket(_) => true,
            DatabasePlace::Network(name) => {
                name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }
}
