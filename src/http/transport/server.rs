//! The server loop: listens, accepts, and stops in order.
//!
//! poem's own server gives hyper no timer, has no limit of connections, does not pause when accepting fails and waits
//! for ever when it stops; this loop does what it leaves out.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::{self, Stop};
use super::slots::{self, Slot, Slots};
use super::socket_file::{self, SocketFile};
use crate::domain::Listen;
use crate::fault::Fault;
use crate::http::Settings;
use crate::http::pipeline::client_address::Peer;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::metrics::Figures;
use crate::http::pipeline::respond::Site;
use crate::service::Service;

/// How many connections the system holds until they are accepted.
const BACKLOG: u32 = 1024;
/// The first and the longest pause after accepting failed, most often for want of descriptors. Clients wait meanwhile.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often the memory of clients that have gone is given back.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

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
            Listen::Unix(path) => {
                let (listener, file) = socket_file::listen(path)?;
                Listener::Unix {
                    listener,
                    _file: Box::new(file),
                }
            }
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

    /// Serves until `stop`, then answers what is in flight for at most [`Deadlines::drain`](crate::http::Deadlines::drain),
    /// and closes what is left. Dropping the future closes everything at once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, site } = self;
        let settings = site.settings();
        let drain = settings.deadlines.drain;
        let slots = Slots::new(settings.max_connections, settings.max_connections_per_address);
        let (stopping, told) = watch::channel(false);
        tokio::select! {
            biased;
            () = stop => {}
            never = accept_all(&listener, &slots, &site, &told) => match never {},
            never = sweep(&site) => match never {},
        }
        drop(listener);
        let _ = stopping.send(true);
        if timeout(drain, slots.all_free()).await.is_err() {
            tracing::warn!(
                connections = slots.taken(),
                "closing connections that did not finish"
            );
        }
    }
}

/// Accepts connections and has each served, without end.
async fn accept_all(listener: &Listener, slots: &Arc<Slots>, site: &Arc<Site>, told: &Stop) -> Infallible {
    let fault = Fault::with_pauses("connections cannot be accepted", PAUSES.0, PAUSES.1);
    loop {
        match listener.accept().await {
            Ok(stream) => {
                fault.ended();
                let client = slots::client_of(stream.peer(), &site.settings().trusted_proxies);
                // The others are closed without an answer: to answer each one would cost what the limit spares.
                if let Ok(slot) = slots.admit(client).await {
                    stream.spawn(slot, Arc::clone(site), told.clone());
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                let pause = fault.failed(&error);
                slots.make_room();
                sleep(pause).await;
            }
        }
    }
}

/// Gives back the memory of clients that have gone, without end.
async fn sweep(site: &Site) -> Infallible {
    loop {
        sleep(SWEEP_EVERY).await;
        site.sweep();
    }
}

/// Whether accepting failed because of one client, and the next one may be fine.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
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

enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: Box<SocketFile>,
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
    fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_, peer) => Peer::Address(peer.ip().to_canonical()),
            Self::Unix(_) => Peer::Unix,
        }
    }

    /// Serves the connection in a task of its own, which gives `slot` back at its end.
    fn spawn(self, slot: Slot, site: Arc<Site>, stop: Stop) {
        let peer = self.peer();
        tokio::spawn(async move {
            let open = metrics::gauge!("arkloop_connections");
            open.increment(1);
            match self {
                Self::Tcp(stream, _) => {
                    // An answer is one write; waiting for more (RFC 896) would only delay it.
                    let _ = stream.set_nodelay(true);
                    connection::serve(stream, peer, slot, site, stop).await;
                }
                Self::Unix(stream) => connection::serve(stream, peer, slot, site, stop).await,
            }
            open.decrement(1);
        });
    }
}
