//! The listening socket: TCP or unix.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::socket_file::{self, SocketFile};
use crate::domain::Listen;
use crate::http::pipeline::client_address::Peer;

/// How many connections the system queues until they are accepted.
const BACKLOG: u32 = 1024;

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: Box<SocketFile>,
    },
}

/// The stream of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    /// Opens the socket. Must be called within a Tokio runtime.
    pub(super) fn new(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => listen_on_address(*address).map(Self::Tcp),
            Listen::Unix(path) => {
                let (listener, file) = socket_file::listen(path)?;
                Ok(Self::Unix {
                    listener,
                    _file: Box::new(file),
                })
            }
        }
    }

    /// `None` for a unix socket.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An answer is one write. Nagle's algorithm (RFC 896), which waits for more, would only delay it.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer::Address(peer.ip().to_canonical())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Unix))
            }
        }
    }
}

fn listen_on_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Otherwise a restarted server could not bind the address before the connections of the previous process time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
