//! One connection: HTTP/1 by hyper, under deadlines that hyper does not have.
//!
//! hyper's own `header_read_timeout` also runs while a connection is idle, so it can only be as short as a client may
//! idle. [`Guarded`] holds the shorter one for headers, and one for clients that do not take their answer. The body has
//! its deadline where it is read.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{self, Framing};
use super::slots::Slot;
use crate::http::Deadlines;
use crate::http::pipeline::client_address::Peer;
use crate::http::pipeline::respond::{Cut, Site};

/// The most bytes of a header, and of what is read ahead: four times what the largest cookies and tokens take.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// What connections are told of the server: `true` once it stops. That the sender is gone means: end at once.
pub(super) type Stop = watch::Receiver<bool>;

type Response = hyper::Response<BoxBody<Bytes, io::Error>>;

/// Serves a connection until one side ends it, or it makes way for another.
pub(crate) async fn serve<S>(stream: S, peer: Peer, slot: Slot, site: Arc<Site>, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let deadlines = site.settings().deadlines;
    let progress = Arc::new(Progress::new(slot));
    let guarded = TokioIo::new(Guarded::new(stream, Arc::clone(&progress), deadlines));
    let service = {
        let progress = Arc::clone(&progress);
        service_fn(move |request| answer(request, peer, Arc::clone(&site), Arc::clone(&progress)))
    };
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.idle)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_header_size(MAX_BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(guarded, service));

    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = progress.slot.sent_away() => return tracing::debug!("a connection made way for another"),
        _ = stop.wait_for(|is_stopping| *is_stopping) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = tokio::select! {
            ended = connection => Some(ended),
            // Nothing more is sent on the channel: this returns when the drain is over.
            _ = stop.changed() => None,
        };
    }
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: Peer,
    site: Arc<Site>,
    progress: Arc<Progress>,
) -> Result<Response, Cut> {
    progress.enter(Progress::REQUEST);
    if !framing::is_clear(&request) {
        return Ok(bad_request());
    }
    let request = (request, LocalAddr::default(), RemoteAddr::default(), Scheme::HTTP).into();
    let answered = site.respond(request, peer, &progress.slot).await;
    progress.enter(Progress::IDLE);
    match answered {
        Err(Cut::Malformed) => Ok(bad_request()),
        answered => answered.map(|response| {
            let mut response: Response = response.into();
            if progress.slot.is_in_lobby() {
                close_after(&mut response);
            }
            response
        }),
    }
}

/// As hyper answers what it cannot read: no body, and the end of the connection, since nobody can know where on it the
/// next request begins.
fn bad_request() -> Response {
    let mut response = hyper::Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    close_after(&mut response);
    response
}

fn close_after(response: &mut Response) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// How far a connection is with a request, told by the side that answers to the side that reads.
struct Progress {
    stage: AtomicU8,
    slot: Slot,
}

impl Progress {
    /// Between two requests.
    const IDLE: u8 = 0;
    /// In a header, or waiting for the first one.
    const HEADER: u8 = 1;
    /// From the end of the header until the answer is made.
    const REQUEST: u8 = 2;

    const fn new(slot: Slot) -> Self {
        Self {
            stage: AtomicU8::new(Self::HEADER),
            slot,
        }
    }

    // One task drives both sides, so the order of these accesses is that of the program.
    fn enter(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
        match stage {
            Self::HEADER => self.slot.rest(),
            Self::IDLE => self.slot.end(),
            _ => {}
        }
    }

    fn is_at(&self, stage: u8) -> bool {
        self.stage.load(Ordering::Relaxed) == stage
    }
}

/// A stream that fails once its client is too slow, and spoils what may be read in two ways.
struct Guarded<S> {
    stream: S,
    progress: Arc<Progress>,
    framing: Framing,
    header: Timer,
    response: Timer,
}

impl<S> Guarded<S> {
    fn new(stream: S, progress: Arc<Progress>, deadlines: Deadlines) -> Self {
        let mut header = Timer::new(deadlines.header);
        header.start();
        Self {
            stream,
            progress,
            framing: Framing::default(),
            header,
            response: Timer::new(deadlines.response),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() {
            let is_late = self.progress.is_at(Progress::HEADER) && self.header.is_over(cx);
            return if is_late {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            } else {
                Poll::Pending
            };
        }
        if buf.filled().len() > before && self.progress.is_at(Progress::IDLE) {
            self.progress.enter(Progress::HEADER);
            self.header.start();
        }
        self.framing.follow(&mut buf.filled_mut()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Runs the response timer from the first write that the client did not take at once until everything is flushed:
    /// taking a byte now and then does not help.
    fn bound<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        if !self.response.is_running() {
            self.response.start();
        }
        if self.response.is_over(cx) {
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        } else {
            Poll::Pending
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bound(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bound(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when its own buffer is empty: the client has taken the answer.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.response.stop();
        }
        self.bound(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bound(cx, shut)
    }
}

/// A deadline that costs a timer of the runtime only once somebody is seen to be slow.
struct Timer {
    length: Duration,
    started_at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    const fn new(length: Duration) -> Self {
        Self {
            length,
            started_at: None,
            sleep: None,
        }
    }

    fn start(&mut self) {
        self.started_at = Some(Instant::now());
        self.sleep = None;
    }

    fn stop(&mut self) {
        self.started_at = None;
        self.sleep = None;
    }

    const fn is_running(&self) -> bool {
        self.started_at.is_some()
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(started_at) = self.started_at else {
            return false;
        };
        let deadline = started_at + self.length;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        sleep.as_mut().poll(cx).is_ready()
    }
}
