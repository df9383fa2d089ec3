//! Refusals of a start: too few threads, or an address where the server cannot listen.

use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::thread;

use parking_lot::Mutex;

use super::error::Refusal;
use crate::app::Capacity;
use crate::domain::Listen;

/// The maximum length of the path of a unix socket: `sun_path` (unix(7)) without the final zero byte.
const LONGEST_SOCKET_PATH: usize = 107;
/// The stack size of a thread that does nothing.
const SMALL_STACK: usize = 64 * 1024;

/// Refuses to start if the system provides fewer threads than the server needs, because libraries would panic later.
pub(super) fn refuse_too_few_threads(capacity: &Capacity) -> Result<(), Refusal> {
    let needed = capacity.threads();
    // The lock keeps all threads alive at the same time.
    let lock = Mutex::new(());
    let (got, failed) = thread::scope(|scope| {
        let _locked = lock.lock();
        let mut got = 0;
        let failed = (0..needed).find_map(|_| {
            let thread = thread::Builder::new().stack_size(SMALL_STACK);
            let started = thread.spawn_scoped(scope, || drop(lock.lock()));
            started.map(|_| got += 1).err()
        });
        (got, failed)
    });
    match failed {
        None => Ok(()),
        Some(cause) => Err(Refusal::new(
            format!("the server needs {needed} threads, but the system gives only {got}: {cause}"),
            "raise the limit of processes: --pids-limit of docker run, TasksMax= of the systemd unit, or ulimit -u",
        )),
    }
}

/// The refusal if the server cannot listen at `place`, which comes from `key` of the configuration.
pub(super) fn why_not_listening(to: &str, place: &Listen, cause: &io::Error, key: &str) -> Refusal {
    let mend = match (cause.kind(), place) {
        (_, Listen::Unix(path)) if path.as_os_str().as_bytes().len() > LONGEST_SOCKET_PATH => {
            return Refusal::new(
                format!(
                    "cannot {to} on {place}: its path has {} bytes, and that of a unix socket has at most {LONGEST_SOCKET_PATH}",
                    path.as_os_str().as_bytes().len()
                ),
                format!("name a shorter one in {key}, such as unix:/run/arkloop/arkloop.sock"),
            );
        }
        (ErrorKind::NotFound, Listen::Unix(_)) => "make its directory, or name another place in",
        (ErrorKind::PermissionDenied, Listen::Tcp(_)) => "take a port from 1024 on in",
        (ErrorKind::AddrNotAvailable, _) => "this machine does not have that address; name another in",
        _ => "stop what listens there, or name another place with",
    };
    Refusal::new(
        format!("cannot {to} on {place}: {cause}"),
        format!("{mend} {key}"),
    )
}
