//! The plaintext part of a conversation that STARTTLS encrypts.
//!
//! Whatever is read in plaintext and used after the upgrade is believed as if it had come encrypted: CVE-2021-38371 and its kin. lettre reads through
//! a buffer that it keeps over the upgrade, so this stream hands out one line at a time, and refuses a server that says more than its turn allows.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

/// Why a connection is refused. The texts reach `mail queue` and `mail test`.
const EARLY: &str =
    "it sent more than the answer that was due before TLS began, which a third party may have added";
const NOT_TLS: &str = "it sent something other than TLS after its answer to STARTTLS";
const NOT_220: &str = "it answered STARTTLS with something other than 220";
/// What a TLS server may begin with: a handshake or an alert (RFC 8446 §5.1).
const FIRST_BYTES_OF_TLS: [u8; 2] = [22, 21];

/// Tells a [`StartTlsStream`] that the next reply answers STARTTLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgrade(Arc<AtomicBool>);

impl Upgrade {
    pub(super) fn announce(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How far the upgrade has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Lines in plaintext.
    Plaintext,
    /// The server has answered 220, and the client has not sent anything since.
    Agreed,
    /// The client has begun its handshake, and the server has not sent anything since.
    Begun,
    /// Everything is TLS's.
    Tls,
}

/// A TCP connection that is plaintext up to the 220 of STARTTLS, and TLS from the next byte on.
#[derive(Debug)]
pub(super) struct StartTlsStream {
    tcp: BufReader<TcpStream>,
    upgrade: Upgrade,
    phase: Phase,
    /// What the line that is being read begins with: the code of the reply, and the hyphen if more lines follow.
    head: Vec<u8>,
}

impl StartTlsStream {
    pub(super) async fn connect(address: SocketAddr, upgrade: &Upgrade) -> io::Result<Self> {
        Ok(Self {
            tcp: BufReader::new(TcpStream::connect(address).await?),
            upgrade: upgrade.clone(),
            phase: Phase::Plaintext,
            head: Vec::new(),
        })
    }

    /// Hands out what is there of the present line.
    fn poll_read_line(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let available = ready!(Pin::new(&mut self.tcp).poll_fill_buf(cx))?;
        let line_length = available
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(available.len(), |end| end + 1);
        let length = line_length.min(buf.remaining());
        let (part, rest) = available.split_at(length);
        self.head.extend(part.iter().take(4 - self.head.len().min(4)));
        if part.ends_with(b"\n") {
            if self.upgrade.0.load(Ordering::SeqCst) && answers_starttls(&self.head)? {
                if !rest.is_empty() {
                    return Poll::Ready(Err(refused(EARLY)));
                }
                self.phase = Phase::Agreed;
            }
            self.head.clear();
        }
        buf.put_slice(part);
        Pin::new(&mut self.tcp).consume(length);
        Poll::Ready(Ok(()))
    }

    /// Refuses if the server has spoken before the client, whose turn it is.
    fn refuse_early(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.phase {
            Phase::Plaintext if !self.tcp.buffer().is_empty() => Err(refused(EARLY)),
            Phase::Agreed => match Pin::new(&mut self.tcp).poll_fill_buf(cx)? {
                Poll::Ready([]) => Err(ErrorKind::UnexpectedEof.into()),
                Poll::Ready(_) => Err(refused(EARLY)),
                Poll::Pending => {
                    self.phase = Phase::Begun;
                    Ok(())
                }
            },
            Phase::Plaintext | Phase::Begun | Phase::Tls => Ok(()),
        }
    }
}

/// Whether a line that begins so is the last one of a 220. What refuses is left to lettre, which words it.
fn answers_starttls(head: &[u8]) -> io::Result<bool> {
    match head {
        [b'2', b'2', b'0', b'-'] | [b'4' | b'5', ..] => Ok(false),
        [b'2', b'2', b'0', ..] => Ok(true),
        _ => Err(refused(NOT_220)),
    }
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

impl AsyncRead for StartTlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Plaintext => return self.poll_read_line(cx, buf),
            Phase::Agreed | Phase::Begun => {
                if let [first, ..] = ready!(Pin::new(&mut self.tcp).poll_fill_buf(cx))? {
                    if !FIRST_BYTES_OF_TLS.contains(first) {
                        return Poll::Ready(Err(refused(NOT_TLS)));
                    }
                    self.phase = Phase::Tls;
                }
            }
            Phase::Tls => {}
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for StartTlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.refuse_early(cx)?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for StartTlsStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.get_ref().peer_addr()
    }
}
