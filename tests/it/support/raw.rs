//! A bare connection, for what a well-behaved client would not send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

    /// Writes bytes; `false` if the server has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads until the server closes the connection, for at most `patience`; `None` if it did not close it.
    pub async fn read_to_end(&mut self, patience: Duration) -> Option<String> {
        let mut bytes = Vec::new();
        match tokio::time::timeout(patience, self.0.read_to_end(&mut bytes)).await {
            // A reset is a close too.
            Ok(_) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => None,
        }
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
