//! Where the running server listens, as it recorded it, and questions to it there.
//!
//! The record is in the lock file of the server and not in the database, so that it can be read while the database
//! cannot, and by whoever may read the file.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Capacity, OpenError};
use crate::config::Config;
use crate::domain::Listen;
use crate::store::Store;

/// How long a question to the server may take in all: it answers in milliseconds, or it does not work.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// What is asked for has a few hundred bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
const UNIX: &[u8] = b"unix:";

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Records where this server listens, and what it has to work with.
pub fn record_server(config: &Config, listen: &Listen, capacity: &Capacity) -> Result<(), OpenError> {
    let mut note = match listen {
        Listen::Tcp(address) => address.to_string().into_bytes(),
        Listen::Unix(path) => [UNIX, path.as_os_str().as_bytes()].concat(),
    };
    note.push(b'\n');
    note.extend(capacity.to_record().into_bytes());
    Ok(Store::note_server(&config.data_dir, &note)?)
}

/// Where the server of this data directory listened last; it may have ended since. `None` if none recorded it.
pub fn listener(config: &Config) -> Result<Option<Listen>, OpenError> {
    let note = Store::noted_server(&config.data_dir)?;
    Ok(note.and_then(|note| parse(note.split(|byte| *byte == b'\n').next()?)))
}

/// What that server had to work with, under `config`; `None` if none recorded it.
pub(super) fn recorded_capacity(config: &Config) -> Option<Capacity> {
    let note = Store::noted_server(&config.data_dir).ok()??;
    let line = note.split(|byte| *byte == b'\n').nth(1)?;
    Capacity::of_record(config, std::str::from_utf8(line).ok()?)
}

fn parse(note: &[u8]) -> Option<Listen> {
    match note.strip_prefix(UNIX) {
        Some(path) => Some(Listen::Unix(OsStr::from_bytes(path).into())),
        None => std::str::from_utf8(note).ok()?.parse().ok().map(Listen::Tcp),
    }
}

/// Asks the server that listens at `listen` for `path`, with further headers, within [`PATIENCE`]. It blocks.
pub fn ask(listen: &Listen, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let deadline = Instant::now() + PATIENCE;
    let mut request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: arkloop\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    let answer = match listen {
        Listen::Unix(path) => {
            let stream = connect_unix(path, deadline)?;
            converse(&stream, &request, || {
                let left = Some(time_left(deadline)?);
                stream.set_write_timeout(left)?;
                stream.set_read_timeout(left)
            })?
        }
        Listen::Tcp(address) => {
            let stream = connect(*address, deadline)?;
            converse(&stream, &request, || {
                let left = Some(time_left(deadline)?);
                stream.set_write_timeout(left)?;
                stream.set_read_timeout(left)
            })?
        }
    };
    read_answer(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it does not speak HTTP"))
}

/// A server that accepts nothing any more lets whoever connects wait for ever, and std bounds that for TCP only. A thread that waits then ends with the
/// command.
fn connect_unix(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let (path, left) = (path.to_owned(), time_left(deadline)?);
    let (sender, connected) = mpsc::channel();
    thread::Builder::new().spawn(move || sender.send(UnixStream::connect(path)))?;
    connected
        .recv_timeout(left)
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// A server on every address is asked on the loopback address, also where there is only the other kind of address.
fn connect(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
    let candidates = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![SocketAddr::new(v4, address.port())],
        IpAddr::V6(ip) if ip.is_unspecified() => vec![
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
            SocketAddr::new(v4, address.port()),
        ],
        _ => vec![address],
    };
    let mut failed = io::Error::from(ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, time_left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Sends the request and reads to the end of the connection; `keep_time` sets the time-outs before each step.
fn converse<S: Read + Write>(
    mut stream: S,
    request: &str,
    keep_time: impl Fn() -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    keep_time()?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while (answer.len() as u64) < MAX_ANSWER_BYTES {
        keep_time()?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What the system says of a time-out is "try again".
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

fn read_answer(answer: &[u8]) -> Option<Answer> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    Some(Answer {
        status,
        headers: lines.filter_map(header).collect(),
        body: body.to_owned(),
    })
}
