//! File locks between processes: one process serves, many have the database open, and one at a time writes.
//!
//! - `server.lock`, exclusive for `serve` and for commands that replace the database or the key file: only one of them runs at a time.
//! - `use.lock`, shared by every process that has the database open; exclusive for a process that creates or replaces the database, changes its schema, or
//!   replaces the key file.
//! - `write.lock`, exclusive around every transaction that writes. With SQLite's own lock alone, a busy server starves a command: back-to-back transactions
//!   gave a second process 10 turns in 25 s. With this lock, the kernel wakes the waiting process.
//! - `turn.lock`, held only while waiting for `write.lock`: a server that has just released `write.lock` cannot take it again before the waiting process
//!   has woken up. Without `turn.lock` a command waited up to 4 s beside a server at full load.
//!
//! The locks are separate files: closing any handle of the database file would drop SQLite's own locks on it (POSIX).

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::files::{Directory, open_file};
use crate::store::OpenError;

/// How long a process waits for `use.lock`, for example while another process changes the schema.
const PATIENCE: Duration = Duration::from_secs(5);
/// A note is the address or the path of the server's socket, and a short line about its capacity. No path is longer than 4 KiB (`PATH_MAX`).
const MAX_NOTE_BYTES: u64 = 8 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

/// The names of the lock files, in the order of `Lock`.
pub const LOCKS: [&str; 4] = ["server.lock", "use.lock", "turn.lock", "write.lock"];

#[derive(Clone, Copy, Debug)]
pub(super) enum Lock {
    Server,
    Use,
    Turn,
    Write,
}

/// The note of the last server in its lock file; `None` if there is no such file. The file may belong to another user.
pub(super) fn read_note(directory: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    let path = directory.join(LOCKS[Lock::Server as usize]);
    let mut note = Vec::new();
    let read = open_file(&path).and_then(|file| file.take(MAX_NOTE_BYTES).read_to_end(&mut note));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(|_| Some(note)).map_err(OpenError::cannot_use(&path)),
    }
}

/// Whether a server runs on the database of `directory`. Creates no lock file.
pub(super) fn is_served(directory: &Path) -> Result<bool, OpenError> {
    let server = FileLock::find(directory, Lock::Server)?;
    Ok(server.is_some_and(|server| server.try_take(Mode::Shared).is_ok_and(|taken| !taken)))
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

/// An open lock file. Dropping it releases the lock.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
    directory: PathBuf,
}

impl FileLock {
    /// Opens a lock file without taking the lock; `None` if there is no such file.
    pub(super) fn find(directory: &Path, lock: Lock) -> Result<Option<Self>, OpenError> {
        match Self::open_with(directory, lock, OFlags::RDONLY) {
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// Opens a lock file without taking the lock. Creates the file if it is missing.
    pub(super) fn open(directory: &Path, lock: Lock) -> Result<Self, OpenError> {
        Self::open_with(directory, lock, OFlags::RDWR | OFlags::CREATE)
    }

    fn open_with(directory: &Path, lock: Lock, flags: OFlags) -> Result<Self, OpenError> {
        let name = LOCKS[lock as usize];
        let opened = Directory::open(directory);
        let file = opened.and_then(|opened| opened.open_own(OsStr::new(name), flags));
        let file = file.map_err(OpenError::cannot_use(&directory.join(name)))?;
        Ok(Self {
            file,
            directory: directory.to_owned(),
        })
    }

    /// Replaces the content of the file. The lock does not depend on the content.
    pub(super) fn note(&self, note: &[u8]) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(note, 0)
    }

    /// Takes the lock if no other process holds it; returns whether it did.
    pub(super) fn try_take(&self, mode: Mode) -> Result<bool, OpenError> {
        let taken = match mode {
            Mode::Shared => self.file.try_lock_shared(),
            Mode::Exclusive => self.file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(OpenError::cannot_use(&self.directory)(source)),
        }
    }

    /// Takes the lock. Waits for it up to five seconds.
    pub(super) fn take(&self, mode: Mode) -> Result<(), OpenError> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if self.try_take(mode)? {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err(OpenError::InUse(self.directory.clone()))
    }
}

impl Drop for FileLock {
    /// Unlocks explicitly: a child process that was just started has a copy of the handle until it executes its program, so closing would keep the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The right to write, which processes take in turn.
#[derive(Debug)]
pub(super) struct WriteLock {
    turn: FileLock,
    write: FileLock,
}

impl WriteLock {
    /// Opens the lock files without taking them.
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            turn: FileLock::open(directory, Lock::Turn)?,
            write: FileLock::open(directory, Lock::Write)?,
        })
    }

    /// Runs `work` while holding the right to write. Waits for that right without a limit.
    pub(super) fn while_held<T>(&self, work: impl FnOnce() -> T) -> std::io::Result<T> {
        self.turn.file.lock()?;
        let taken = self.write.file.lock();
        self.turn.file.unlock()?;
        taken?;
        let result = work();
        self.write.file.unlock()?;
        Ok(result)
    }
}
