//! A bare connection, on which tests send what a well-behaved client would not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The receive buffer of [`RawConnection::open_narrow`].
const NARROW_BYTES: u32 = 4096;

/// A TCP connection on which a test writes and reads bytes.
pub struct RawConnection(TcpStream);

impl RawConnection {
    pub async fn open(address: SocketAddr) -> Self {
        Self(
            TcpStream::connect(address)
                .await
                .expect("the server accepts connections"),
        )
    }

    /// A connection from `127.0.0.<last>`, which is another client address on the same machine.
    pub async fn open_from(last: u8, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("there is a descriptor");
        let source = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        socket
            .bind((source, 0).into())
            .expect("all of 127/8 is this machine");
        Self(
            socket
                .connect(address)
                .await
                .expect("the server accepts connections"),
        )
    }

    /// A connection with a small receive buffer, so that the server cannot send much before the test reads.
    pub async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("there is a descriptor");
        socket
            .set_recv_buffer_size(NARROW_BYTES)
            .expect("a buffer may be small");
        Self(
            socket
                .connect(address)
                .await
                .expect("the server accepts connections"),
        )
    }

    /// Writes bytes; `false` if the server has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads until the server closes the connection, for at most `patience`; `None` if the server did not close it.
    pub async fn read_to_end(&mut self, patience: Duration) -> Option<String> {
        let mut bytes = Vec::new();
        match tokio::time::timeout(patience, self.0.read_to_end(&mut bytes)).await {
            // A reset counts as closed.
            Ok(_) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => None,
        }
    }

    /// Reads the next bytes, at most `most`; empty if the server closed the connection or nothing comes within `patience`.
    pub async fn read_some(&mut self, most: usize, patience: Duration) -> String {
        let mut bytes = vec![0; most];
        let read = tokio::time::timeout(patience, self.0.read(&mut bytes)).await;
        let length = read.map_or(0, |read| read.unwrap_or(0));
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Sends a request on a connection that stays open, and expects the answer to `GET /healthz`.
    pub async fn ask(&mut self) {
        assert!(self.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await);
        let answer = self.read_some(4096, Duration::from_secs(30)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Whether the server closes the connection within `patience`.
    pub async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let mut bytes = [0; 1024];
        match tokio::time::timeout(patience, self.0.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => true,
            Ok(Ok(_)) | Err(_) => false,
        }
    }
}
