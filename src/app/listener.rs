//! The recorded address of the running server, and requests to it.
//!
//! The record is in the lock file of the server and not in the database, so that every user who may read that file can find the server, even while the
//! database cannot be read.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use super::capacity::Capacity;
use super::error::OpenError;
use crate::config::Config;
use crate::domain::Listen;
use crate::store::SqliteStore;
use crate::web::{Answer, Client, Url};

/// The timeout of a whole request to the running server, which answers in milliseconds if it works.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const UNIX: &[u8] = b"unix:";

/// Records where this server listens, and its capacity.
pub fn record_server(config: &Config, listen: &Listen, capacity: &Capacity) -> Result<(), OpenError> {
    let mut note = match listen {
        Listen::Tcp(address) => address.to_string().into_bytes(),
        Listen::Unix(path) => [UNIX, path.as_os_str().as_bytes()].concat(),
    };
    note.push(b'\n');
    note.extend(capacity.to_record().into_bytes());
    Ok(SqliteStore::note_server(&config.data_dir, &note)?)
}

/// Where the last server of this data directory listens. It may have stopped since. `None` if no server has run.
pub fn listener(config: &Config) -> Result<Option<Listen>, OpenError> {
    let note = SqliteStore::noted_server(&config.data_dir)?;
    Ok(note.and_then(|note| parse(note.split(|byte| *byte == b'\n').next()?)))
}

/// The capacity of the last server of this data directory, under `config`. `None` if there is no valid record of it.
pub(super) fn recorded_capacity(config: &Config) -> Option<Capacity> {
    let note = SqliteStore::noted_server(&config.data_dir).ok()??;
    let line = note.split(|byte| *byte == b'\n').nth(1)?;
    Capacity::from_record(config, std::str::from_utf8(line).ok()?)
}

fn parse(note: &[u8]) -> Option<Listen> {
    match note.strip_prefix(UNIX) {
        Some(path) => Some(Listen::Unix(OsStr::from_bytes(path).into())),
        None => std::str::from_utf8(note).ok()?.parse().ok().map(Listen::Tcp),
    }
}

/// Sends a GET request for `path` to the server that listens at `listen`, within [`ANSWER_TIMEOUT`]. Blocks the thread.
pub fn ask(listen: &Listen, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let (socket, hosts) = match listen {
        // The connector of the unix socket ignores the host.
        Listen::Unix(socket) => (
            Some(socket.as_path()),
            vec![SocketAddr::from(([127, 0, 0, 1], 80))],
        ),
        Listen::Tcp(address) => (None, reachable(*address)),
    };
    let client = Client::local(socket, ANSWER_TIMEOUT);
    let mut answer = Err(io::ErrorKind::AddrNotAvailable.into());
    for host in hosts {
        let address = Url::parse(&format!("http://{host}{path}")).ok_or(io::ErrorKind::InvalidInput)?;
        match client.get(&address, headers) {
            Err(failure) if failure.is_transient() => answer = Err(failure.into_io()),
            answered => return answered.map_err(|failure| failure.into_io()),
        }
    }
    answer
}

/// The addresses to try for a server that listens at `address`: loopback if it listens on every address. For `[::]` also IPv4, because IPv6 may be off.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())]
        }
        _ => vec![address],
    }
}
