//! New files and directories: they have a private name until they are whole.
//!
//! A private name is random, so that another user cannot plant it. A lock on the entry says that its maker is alive. A leftover of a crash has a private name,
//! belongs to the running user and is not locked; it is removed when the next entry is made in the same directory.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::directory::Directory;
use super::untrusted::Flaw;
use super::users::runner;
use crate::system::draw_private_name;

/// Begins a private name; the rest is [random](draw_private_name).
const PREFIX: &str = ".arkloop-";
/// What a private directory may hold: a database, what SQLite makes beside it, and its locks.
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
/// How many names are tried: another process may take a new entry for a leftover before it is locked.
const TRIES: u32 = 8;

/// A file under a private name; without [`publish`](NewFile::publish) or [`replace`](NewFile::replace) it is removed.
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
            if lock_new(&new.file)? {
                return Ok(new);
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Makes an empty directory that only its owner can use.
    pub fn new_directory(self) -> io::Result<PrivateDirectory> {
        for _ in 0..TRIES {
            let name = private_name();
            mkdirat(&self, &name, Mode::RWXU)?;
            let (lock, inside) = self.open_inside(&name)?;
            if !lock_new(&lock)? {
                continue;
            }
            // A user who can rename entries here may have put another directory in its place.
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

    /// Removes leftovers of crashes. Entries that are locked, belong to another user or have other contents stay. Where other users can rename entries, all
    /// stay: they could give such a name to any file.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        if self.flaw()?.is_some() {
            return Ok(());
        }
        for name in self.names()? {
            if is_private_name(&name) {
                // A leftover that cannot be removed only takes space.
                let _ = self.clear_leftover(&name);
            }
        }
        Ok(())
    }

    /// The directory `name` in it, and the handle of the same descriptor that locks it.
    fn open_inside(&self, name: &OsStr) -> io::Result<(File, Self)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = File::from(openat(self, name, flags, Mode::empty())?);
        let inside = Self {
            fd: lock.try_clone()?.into(),
            path: self.path().join(name),
            planted: None,
        };
        Ok((lock, inside))
    }

    fn clear_leftover(&self, name: &OsStr) -> io::Result<()> {
        let found = statat(self, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {
                let file = self.open_own(name, OFlags::RDONLY)?;
                // A process that is about to lock it will notice that it lost its name, and make another.
                if file.try_lock().is_ok() {
                    self.remove(name)?;
                }
            }
            FileType::Directory => {
                let (lock, inside) = self.open_inside(name)?;
                if is_private(&inside.stat()?) && lock.try_lock().is_ok() {
                    inside.clear()?;
                    unlinkat(self, name, AtFlags::REMOVEDIR)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes the program's files in it, if there are no others.
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
    /// Lets all users read it.
    pub fn let_all_read(&self) -> io::Result<()> {
        Ok(fchmod(&self.file, Mode::from_raw_mode(0o644))?)
    }

    /// Waits until it is on disk, then gives it the name `name`, which must be free.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], also if a link has the name.
    pub fn publish(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        rename_to_free_name(self.directory, &self.name, self.directory, name)?;
        self.is_named = true;
        self.directory.sync()
    }

    /// Waits until it is on disk, then gives it the name `name`; replaces only a file of the running user.
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

/// A directory under a private name, which is removed with its contents when this is dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    around: Directory,
    name: OsString,
    /// Its descriptor holds the lock, which the kernel releases even after a crash.
    inside: Directory,
}

impl PrivateDirectory {
    pub fn inside(&self) -> &Directory {
        &self.inside
    }

    /// Its path, for code that opens files by path.
    pub fn path(&self) -> PathBuf {
        self.inside.path().to_owned()
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the next one is made.
        let _ = self.inside.clear();
        let _ = unlinkat(&self.around, &self.name, AtFlags::REMOVEDIR);
    }
}

/// Gives the entry `from` of one directory the name `to` in another, which must be free there.
///
/// On file systems without such a rename, as some network ones, an empty file reserves the name first.
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

/// Locks a new entry; `false` if another process has taken it for a leftover.
fn lock_new(made: &File) -> io::Result<bool> {
    match made.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        // On a file system without locks no leftovers are removed.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(fstat(made)?.st_nlink > 0)
}

/// Whether only the running user, its owner, can use it.
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
