//! The server loop: listens, accepts, and stops in order.
//!
//! poem's own server gives hyper no timer, has no limit of connections, does not pause when accepting fails and waits
//! for ever when it stops; this loop does what it leaves out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Settings;
use super::client_address::Peer;
use super::connection::{self, Stop};
use super::exchange::Shared;
use super::metrics::Figures;
use super::respond::Site;
use crate::domain::Listen;
use crate::service::Service;

/// How many connections the system holds until they are accepted.
const BACKLOG: u32 = 1024;
/// Whoever runs the server, and the group that its proxy belongs to, may connect to the unix socket.
const SOCKET_MODE: u32 = 0o660;
/// The first pause after accepting failed, most often for want of descriptors; it doubles.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause after accepting failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A server that listens, and serves once it is [run](Server::run).
pub struct Server {
    listener: Listener,
    site: Arc<Site>,
}

impl Server {
    /// Listens. Must be called within a Tokio runtime.
    pub fn bind(listen: &Listen, service: Arc<Service>, settings: Settings) -> io::Result<Self> {
        Self::listen(listen, Site::new(Arc::new(Shared::new(service, settings))))
    }

    /// Listens for whoever watches the server: `/metrics`, and `/readyz` with the cause. Must be called within a Tokio
    /// runtime.
    pub fn bind_metrics(listen: &Listen, service: Arc<Service>, figures: Figures) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(service, Settings::default()));
        Self::listen(listen, Site::of_metrics(shared, figures))
    }

    fn listen(listen: &Listen, site: Site) -> io::Result<Self> {
        let site = Arc::new(site);
        let listener = match listen {
            Listen::Tcp(address) => Listener::Tcp(listen_on_address(*address)?),
            Listen::Unix(path) => Listener::Unix {
                listener: listen_on_path(path)?,
                _file: SocketFile(path.clone()),
            },
        };
        Ok(Self { listener, site })
    }

    /// The address and the port that it listens on; `None` for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix { .. } => None,
        }
    }

    /// Serves until `stop`, then answers what is in flight for at most [`Deadlines::drain`](super::Deadlines::drain),
    /// and closes what is left. Dropping the future closes everything at once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, site } = self;
        let most = site.settings().max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let drain = site.settings().deadlines.drain;
        let slots = Arc::new(Semaphore::new(most));
        let (stopping, told) = watch::channel(false);
        let mut pause = SHORTEST_PAUSE;
        let mut stop = pin!(stop);

        while let Some((accepted, slot)) = next(&listener, &slots, stop.as_mut()).await {
            match accepted {
                Ok(stream) => {
                    pause = SHORTEST_PAUSE;
                    stream.spawn(slot, Arc::clone(&site), told.clone());
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    drop(slot);
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "accepting connections fails");
                    tokio::select! {
                        () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                        () = stop.as_mut() => break,
                    }
                }
            }
        }
        drop(listener);
        let _ = stopping.send(true);
        let all_slots = slots.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
        if timeout(drain, all_slots).await.is_err() {
            tracing::warn!(
                connections = most - slots.available_permits(),
                "closing connections that did not finish"
            );
        }
    }
}

/// Waits for a free slot and then for a connection; `None` once the server is to stop.
async fn next(
    listener: &Listener,
    slots: &Arc<Semaphore>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<(io::Result<Stream>, OwnedSemaphorePermit)> {
    let slot = tokio::select! {
        biased;
        () = stop.as_mut() => return None,
        slot = Arc::clone(slots).acquire_owned() => slot.ok()?,
    };
    tokio::select! {
        biased;
        () = stop => None,
        accepted = listener.accept() => Some((accepted, slot)),
    }
}

/// Whether accepting failed because of one client, and the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn listen_on_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for connections of the process before it to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn listen_on_path(path: &Path) -> io::Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket
        && std::os::unix::net::UnixStream::connect(path).is_err_and(|error| is_of_one_connection(&error))
    {
        // Nobody answers: a server that was killed has left it. Anything else at this path makes `bind` fail.
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// The file of a unix socket, which goes when the server goes.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.0);
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, peer)| Stream::Tcp(stream, peer)),
            Self::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Stream {
    /// Serves the connection in a task of its own, which gives `slot` back at its end.
    fn spawn(self, slot: OwnedSemaphorePermit, site: Arc<Site>, stop: Stop) {
        tokio::spawn(async move {
            let open = metrics::gauge!("arkloop_connections");
            open.increment(1);
            match self {
                Self::Tcp(stream, peer) => {
                    // An answer is one write; waiting for more (RFC 896) would only delay it.
                    let _ = stream.set_nodelay(true);
                    let peer = Peer::Address(peer.ip().to_canonical());
                    connection::serve(stream, peer, site, stop).await;
                }
                Self::Unix(stream) => connection::serve(stream, Peer::Unix, site, stop).await,
            }
            open.decrement(1);
            drop(slot);
        });
    }
}
