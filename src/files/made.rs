//! What the program makes: files and directories under private names, which get their own name when they are whole.
//!
//! A private name is random, so that it cannot be planted. A lock on what has it says that its maker is alive; what a crash left has the form of such a
//! name, belongs to the running user and is not locked, and goes when the next one is made in the same directory.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::{Directory, Flaw, runner};
use crate::system::draw_private_name;

/// What the names of unfinished files and directories begin with; the rest is [random](draw_private_name).
const PREFIX: &str = ".arkloop-";
/// What is put into such a directory: a database with what SQLite makes beside it, and its locks.
const INSIDE: [&str; 8] = [
    "arkloop.db",
    "arkloop.db-wal",
    "arkloop.db-shm",
    "arkloop.db-journal",
    "server.lock",
    "use.lock",
    "turn.lock",
    "write.lock",
];
/// How often a name is tried again that another process took for a leftover before it was locked.
const TRIES: u32 = 8;

/// A file that nobody else knows of; without [`publish`](NewFile::publish) or [`replace`](NewFile::replace) it is removed.
#[derive(Debug)]
pub struct NewFile<'d> {
    directory: &'d Directory,
    name: OsString,
    file: File,
    is_named: bool,
}

impl Directory {
    /// Makes an empty file that only its owner can read or write.
    pub fn new_file(&self) -> io::Result<NewFile<'_>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let name = private_name();
            let file = File::from(openat(self, &name, flags, Mode::RUSR | Mode::WUSR)?);
            let new = NewFile {
                directory: self,
                name,
                file,
                is_named: false,
            };
            if is_taken(&new.file)? {
                return Ok(new);
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Makes an empty directory that only its owner can use.
    pub fn new_directory(self) -> io::Result<PrivateDirectory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let name = private_name();
            mkdirat(&self, &name, Mode::RWXU)?;
            let lock = File::from(openat(&self, &name, flags, Mode::empty())?);
            let inside = Directory {
                fd: lock.try_clone()?.into(),
                path: self.path().join(&name),
                planted: None,
            };
            if !is_taken(&lock)? {
                continue;
            }
            // Whoever can rename entries here may have put another directory in its place.
            let found = inside.stat()?;
            if !is_private(&found) || !inside.names()?.is_empty() {
                return Err(self.untrusted(&name, Flaw::Not("directory that this process made")));
            }
            return Ok(PrivateDirectory {
                around: self,
                name,
                inside,
            });
        }
        Err(Errno::EXIST.into())
    }

    /// Removes what runs that were cut off have left under private names. What is locked, belongs to another user or is anything else than was made
    /// stays, and so does everything where others can rename entries: they could give the name to what is none.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        if self.flaw()?.is_some() {
            return Ok(());
        }
        for name in self.names()? {
            if is_private_name(&name) {
                // What cannot be removed harms nobody but the free room, which is no reason not to go on.
                let _ = self.clear_leftover(&name);
            }
        }
        Ok(())
    }

    fn clear_leftover(&self, name: &OsStr) -> io::Result<()> {
        let found = statat(self, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {
                let file = self.open_own(name, OFlags::RDONLY)?;
                // A process that is about to lock it finds that it has no name any more, and makes another.
                if file.try_lock().is_ok() {
                    self.remove(name)?;
                }
            }
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let lock = File::from(openat(self, name, flags, Mode::empty())?);
                let found = fstat(&lock)?;
                let is_own = is_private(&found);
                if is_own && lock.try_lock().is_ok() {
                    let inside = Self {
                        fd: lock.try_clone()?.into(),
                        path: self.path().join(name),
                        planted: None,
                    };
                    inside.clear()?;
                    unlinkat(self, name, AtFlags::REMOVEDIR)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes what the program has put into it, if there is nothing else.
    fn clear(&self) -> io::Result<()> {
        let names = self.names()?;
        for name in &names {
            self.find_own(name)?;
            if !INSIDE.iter().any(|inside| name == inside) {
                return Err(self.untrusted(name, Flaw::Not("file that this program made")));
            }
        }
        for name in &names {
            self.remove(name)?;
        }
        Ok(())
    }
}

impl NewFile<'_> {
    /// Lets everybody read it.
    pub fn let_all_read(&self) -> io::Result<()> {
        Ok(fchmod(&self.file, Mode::from_raw_mode(0o644))?)
    }

    /// Gives it the name `name`, which must be free, when it is on disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], also if a link has the name.
    pub fn publish(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        rename_to_free_name(self.directory, &self.name, self.directory, name)?;
        self.is_named = true;
        self.directory.sync()
    }

    /// Gives it the name `name`, in the place of a file of the running user or of none.
    pub fn replace(mut self, name: &OsStr) -> io::Result<()> {
        self.directory.find_own(name)?;
        self.file.sync_all()?;
        self.directory.rename(&self.name, name)?;
        self.is_named = true;
        Ok(())
    }
}

impl Write for NewFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = self.directory.remove(&self.name);
        }
    }
}

/// A directory that nobody else knows of; it goes with what is in it when this is dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    around: Directory,
    name: OsString,
    /// Its descriptor holds the lock, of which the kernel lets go whatever becomes of the process.
    inside: Directory,
}

impl PrivateDirectory {
    /// The directory itself.
    pub fn inside(&self) -> &Directory {
        &self.inside
    }

    /// Its path, for what opens files by path.
    pub fn path(&self) -> PathBuf {
        self.inside.path().to_owned()
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is removed by whoever makes the next one.
        let _ = self.inside.clear();
        let _ = unlinkat(&self.around, &self.name, AtFlags::REMOVEDIR);
    }
}

/// Gives the entry `from` of one directory the name `to` in another, which must be free there.
///
/// A file system that knows no such rename, as some network ones do, gets the name reserved by an empty file first.
pub fn rename_to_free_name(
    source: &Directory,
    from: &OsStr,
    target: &Directory,
    to: &OsStr,
) -> io::Result<()> {
    match renameat_with(source, from, target, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            drop(openat(target, to, flags, Mode::RUSR | Mode::WUSR)?);
            let renamed = renameat(source, from, target, to);
            if renamed.is_err() {
                let _ = target.remove(to);
            }
            Ok(renamed?)
        }
        renamed => Ok(renamed?),
    }
}

/// Locks what was just made; `false` if another process has taken it for a leftover.
fn is_taken(made: &File) -> io::Result<bool> {
    match made.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        // A file system without locks has no leftovers cleared, and works.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(fstat(made)?.st_nlink > 0)
}

/// Whether the running user owns it and nobody else can use it.
fn is_private(found: &Stat) -> bool {
    let others = Mode::RWXG | Mode::RWXO;
    found.st_uid == runner() && !Mode::from_raw_mode(found.st_mode).intersects(others)
}

fn private_name() -> OsString {
    format!("{PREFIX}{}", draw_private_name()).into()
}

fn is_private_name(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    random.is_some_and(|random| {
        random.len() == 32
            && random
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}
