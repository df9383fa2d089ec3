//! A relay in front of the database: one address for the primary, whichever it is, as a proxy or a list of hosts gives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::model::lock;

pub struct Relay {
    pub port: u16,
    shared: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The socket of the primary; `None` while there is none.
    primary: Mutex<Option<PathBuf>>,
    connections: Mutex<Vec<TcpStream>>,
    /// What the server answers is swallowed.
    is_mute: AtomicBool,
}

impl Relay {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the system has ports");
        let port = listener.local_addr().expect("it is bound").port();
        let shared: Arc<State> = Arc::default();
        let state = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let socket = lock(&state.primary).clone();
                // A client is refused by closing its connection while there is no primary.
                if let Some(server) = socket.and_then(|socket| UnixStream::connect(socket).ok()) {
                    let _ = join(client, server, &state);
                }
            }
        });
        Self { port, shared }
    }

    /// Sends new connections to the socket in `directory`.
    pub fn lead_to(&self, directory: &Path) {
        *lock(&self.shared.primary) = Some(directory.join(".s.PGSQL.5432"));
    }

    pub fn lead_nowhere(&self) {
        *lock(&self.shared.primary) = None;
    }

    /// Swallows the answers of the server for so long, and then closes every connection: what was committed meanwhile is unknown to the client.
    pub fn cut(&self, after: Duration) {
        self.shared.is_mute.store(true, Ordering::Relaxed);
        thread::sleep(after);
        for connection in lock(&self.shared.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.is_mute.store(false, Ordering::Relaxed);
    }
}

/// Carries bytes both ways until one side is closed.
fn join(client: TcpStream, server: UnixStream, state: &Arc<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    lock(&state.connections).push(client.try_clone()?);
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        carry(&mut from_client, |bytes| to_server.write_all(bytes));
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        carry(&mut from_server, |bytes| {
            if state.is_mute.load(Ordering::Relaxed) {
                // From here on the client hears no more.
                return Err(ErrorKind::BrokenPipe.into());
            }
            to_client.write_all(bytes)
        });
        // The client is told when the cut is over.
        while state.is_mute.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}

fn carry(from: &mut impl Read, mut deliver: impl FnMut(&[u8]) -> io::Result<()>) {
    let mut buffer = [0; 16384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if deliver(&buffer[..length]).is_err() {
            return;
        }
    }
}
