//! The server loop: listens, accepts, and stops after the requests in flight.
//!
//! It replaces poem's own server, which gives hyper no timer, has no connection limit, does not pause when accepting fails, and may wait for ever when it
//! stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::{self, Stop};
use super::connection_limit::{ConnectionLimit, client_of};
use super::listener::Listener;
use crate::domain::Listen;
use crate::fault::Fault;
use crate::http::pipeline::respond::Pipeline;

/// The first and the longest pause after a connection could not be accepted, usually because no file descriptor is left. New clients wait meanwhile.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often the memory of limits that no client has used for a while is freed.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// A server that listens, and serves once it is [run](Server::run).
pub struct Server {
    listener: Listener,
    pipeline: Arc<Pipeline>,
}

impl Server {
    /// Opens the socket. Must be called within a Tokio runtime.
    pub(crate) fn listen(listen: &Listen, pipeline: Pipeline) -> io::Result<Self> {
        Ok(Self {
            listener: Listener::new(listen)?,
            pipeline: Arc::new(pipeline),
        })
    }

    /// The address and the port that it listens on; `None` for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then finishes the requests in flight for at most [`Deadlines::drain`](crate::http::Deadlines::drain), and closes what is left.
    /// Dropping the future closes everything at once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, pipeline } = self;
        let settings = pipeline.settings();
        let drain = settings.deadlines.drain;
        let limit = ConnectionLimit::new(settings.max_connections, settings.max_connections_per_address);
        let (stopping, stop_signal) = watch::channel(false);
        tokio::select! {
            biased;
            () = stop => {}
            never = accept_all(&listener, &limit, &pipeline, &stop_signal) => match never {},
            never = sweep(&pipeline) => match never {},
        }
        drop(listener);
        let _ = stopping.send(true);
        if timeout(drain, limit.all_gone()).await.is_err() {
            tracing::warn!(
                connections = limit.len(),
                "closing connections that did not finish"
            );
        }
    }
}

/// Accepts connections and serves each in a task of its own, without end.
async fn accept_all(
    listener: &Listener,
    limit: &Arc<ConnectionLimit>,
    pipeline: &Arc<Pipeline>,
    stop: &Stop,
) -> Infallible {
    let fault = Fault::with_pauses("connections cannot be accepted", PAUSES.0, PAUSES.1);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                fault.ended();
                let client = client_of(peer, &pipeline.settings().trusted_proxies);
                // Connections over the limit are closed without an answer: answering them would cost what the limit saves.
                let Ok(admission) = limit.admit(client).await else {
                    continue;
                };
                let (pipeline, stop) = (Arc::clone(pipeline), stop.clone());
                tokio::spawn(async move {
                    let open = metrics::gauge!("arkloop_connections");
                    open.increment(1);
                    connection::serve(stream, peer, admission, pipeline, stop).await;
                    open.decrement(1);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                let pause = fault.failed(&error);
                limit.make_room();
                sleep(pause).await;
            }
        }
    }
}

/// Frees the memory of unused limits again and again, without end.
async fn sweep(pipeline: &Pipeline) -> Infallible {
    loop {
        sleep(SWEEP_EVERY).await;
        pipeline.sweep();
    }
}

/// Whether accepting failed because of one client, so that the next connection may be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
