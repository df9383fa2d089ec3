//! One connection: HTTP/1 by hyper, with deadlines that hyper does not have.
//!
//! hyper's own `header_read_timeout` also runs while a connection is idle, so it cannot be shorter than a client may idle. [`Guarded`] holds the shorter
//! deadline for headers, and the deadline for clients that do not take their answer. [`receive_and_respond`] holds the deadline for the body.

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
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::connection_limit::{Admission, ShareExhausted};
use super::framing::{self, Framing};
use crate::http::Deadlines;
use crate::http::pipeline::body::{self, ReadError};
use crate::http::pipeline::client_address::{Peer, client_address};
use crate::http::pipeline::code::Code;
use crate::http::pipeline::error::Refusal;
use crate::http::pipeline::respond::{Arrival, Pipeline};
use crate::limits::Subject;

/// The maximum size in bytes of a header, and of the read buffer: four times what the largest cookies and tokens take.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// Tells connections when the server stops: the value is then `true`. When the sender is dropped, connections close at once.
pub(super) type Stop = watch::Receiver<bool>;

type Response = hyper::Response<BoxBody<Bytes, io::Error>>;

/// Serves a connection until one side ends it or it is evicted.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    admission: Admission,
    pipeline: Arc<Pipeline>,
    mut stop: Stop,
) {
    let deadlines = pipeline.settings().deadlines;
    let progress = Arc::new(Progress::new(admission));
    let guarded = TokioIo::new(Guarded::new(stream, Arc::clone(&progress), deadlines));
    let service = {
        let progress = Arc::clone(&progress);
        service_fn(move |request| answer(request, peer, Arc::clone(&pipeline), Arc::clone(&progress)))
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
        () = progress.admission.evicted() => return tracing::debug!("a connection was evicted"),
        _ = stop.wait_for(|is_stopping| *is_stopping) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = tokio::select! {
            ended = connection => Some(ended),
            // Nothing more is sent on the channel, so this returns when the drain is over.
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
    pipeline: Arc<Pipeline>,
    progress: Arc<Progress>,
) -> io::Result<Response> {
    progress.enter(Progress::REQUEST);
    if !framing::is_unambiguous(&request) {
        return Ok(bad_request());
    }
    let request = (request, LocalAddr::default(), RemoteAddr::default(), Scheme::HTTP).into();
    let answered = receive_and_respond(request, peer, &pipeline, &progress.admission).await;
    progress.enter(Progress::IDLE);
    let mut response = answered?;
    if progress.admission.is_in_lobby() {
        close_after(&mut response);
    }
    Ok(response)
}

/// Waits for a place and for the body, and lets the pipeline answer the request.
///
/// # Errors
/// The connection is to be closed without an answer.
async fn receive_and_respond(
    mut request: poem::Request,
    peer: Peer,
    pipeline: &Pipeline,
    admission: &Admission,
) -> io::Result<Response> {
    let started_at = Instant::now();
    let settings = pipeline.settings();
    let address = client_address(peer, request.headers(), &settings.trusted_proxies);
    let body = match admission.count_for(Subject::of_address(address)).await {
        Ok(()) => match timeout(settings.deadlines.body, body::read(request.take_body())).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(ReadError::TooLarge)) => Err(Refusal::new(Code::RequestTooLarge)),
            Ok(Err(ReadError::Malformed)) => return Ok(bad_request()),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        },
        Err(ShareExhausted) => Err(Refusal::too_many_connections()),
    };
    if !admission.begin_request() {
        return Err(io::Error::other(
            "the connection was evicted before the request was complete",
        ));
    }
    let arrival = Arrival {
        request,
        body,
        peer,
        address,
        started_at,
    };
    Ok(pipeline.respond(arrival).await.into())
}

/// The answer that hyper gives to bytes that it cannot parse. It has no body, and closes the connection, because it is unknown where the next request begins.
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

/// The stage of the current request of a connection, which the service function and the stream share.
struct Progress {
    stage: AtomicU8,
    admission: Admission,
}

impl Progress {
    /// Between two requests.
    const IDLE: u8 = 0;
    /// Reading a header, or waiting for the first one.
    const HEADER: u8 = 1;
    /// From the end of the header until the response is ready to be written.
    const REQUEST: u8 = 2;

    const fn new(admission: Admission) -> Self {
        Self {
            stage: AtomicU8::new(Self::HEADER),
            admission,
        }
    }

    // The service function and the stream run in one task, so these accesses happen in program order.
    fn enter(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
        match stage {
            Self::HEADER => self.admission.rest(),
            Self::IDLE => self.admission.end_request(),
            _ => {}
        }
    }

    fn is_at(&self, stage: u8) -> bool {
        self.stage.load(Ordering::Relaxed) == stage
    }
}

/// A stream that fails when its client is too slow, and that spoils the end of ambiguous lines ([`Framing`]).
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
    /// Runs the response timer from the first write that has to wait for the client until everything is flushed. Reading a byte now and then does not give the
    /// client more time.
    fn bound<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        self.response.started_at.get_or_insert_with(Instant::now);
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
        // hyper flushes when its own buffer is empty, so the whole answer has been written.
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

/// A deadline that creates a timer of the runtime only when a client is slow.
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

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(started_at) = self.started_at else {
            return false;
        };
        let deadline = started_at + self.length;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        sleep.as_mut().poll(cx).is_ready()
    }
}
