//! A relay in front of the database: one address for the primary, whichever it is, as a proxy or a list of hosts gives.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::model::lock;

pub struct Relay {
    pub port: u16,
    /// The socket of the primary; `None` while there is none.
    primary: Arc<Mutex<Option<PathBuf>>>,
}

impl Relay {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the system has ports");
        let port = listener.local_addr().expect("it is bound").port();
        let primary: Arc<Mutex<Option<PathBuf>>> = Arc::default();
        let shared = Arc::clone(&primary);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let socket = lock(&shared).clone();
                // A client is refused by closing its connection while there is no primary.
                if let Some(server) = socket.and_then(|socket| UnixStream::connect(socket).ok()) {
                    let _ = join(client, server);
                }
            }
        });
        Self { port, primary }
    }

    /// Sends new connections to the socket in `directory`.
    pub fn lead_to(&self, directory: &Path) {
        *lock(&self.primary) = Some(directory.join(".s.PGSQL.5432"));
    }

    pub fn lead_nowhere(&self) {
        *lock(&self.primary) = None;
    }
}

/// Carries bytes both ways until one side is closed.
fn join(client: TcpStream, server: UnixStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        carry(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
    thread::spawn(move || {
        carry(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    Ok(())
}

fn carry(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 16384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
