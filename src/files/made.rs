//! New files and directories, which have a private name until they are complete.
//!
//! A private name is random, so another user cannot create an entry of that name first. The process that creates an entry holds a lock on it. An entry of the
//! running user with a private name and without a lock is a leftover of a crash; [`Directory::clear_leftovers`] removes it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::directory::Directory;
use super::untrusted::Flaw;
use super::users::runner;
use crate::system::draw_private_name;

/// The beginning of a private name; the rest is [random](draw_private_name).
const PREFIX: &str = ".arkloop-";
/// The files that a private directory may hold: a database, the files that SQLite creates beside it, and the locks.
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
/// How many names are tried for a new entry. Another process may remove a new entry as a leftover before it is locked.
const TRIES: u32 = 8;

/// A file under a private name. Dropping it removes the file, unless [`publish`](NewFile::publish) or [`replace`](NewFile::replace) gave it a name.
#[derive(Debug)]
pub struct NewFile<'d> {
    directory: &'d Directory,
    name: OsString,
    pub file: File,
    is_named: bool,
}

impl Directory {
    /// Creates an empty file that only its owner can read or write.
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

    /// Creates an empty directory that only its owner can use.
    pub fn new_directory(self) -> io::Result<PrivateDirectory> {
        for _ in 0..TRIES {
            let name = private_name();
            mkdirat(&self, &name, Mode::RWXU)?;
            let (lock, inside) = self.open_inside(&name)?;
            if !lock_new(&lock)? {
                continue;
            }
            // A user who can rename entries here may have replaced the directory.
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

    /// Removes leftovers of crashes. Entries stay if they are locked, belong to another user or contain other files. All stay if other users can rename entries
    /// of this directory, because they could give a private name to any file.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        if self.flaw()?.is_some() {
            return Ok(());
        }
        for name in self.names()? {
            if is_private_name(&name) {
                // A leftover that cannot be removed does no harm except that it takes space.
                let _ = self.clear_leftover(&name);
            }
        }
        Ok(())
    }

    /// Opens the directory `name`. Also returns a file to lock it with; both share the lock.
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
                // A process that was about to lock it will notice that its entry is gone, and create another.
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

    /// Removes all files from this directory. Fails, and removes none, if a file is not one of [`INSIDE`].
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
    /// Lets all users read the file.
    pub fn let_all_read(&self) -> io::Result<()> {
        Ok(fchmod(&self.file, Mode::from_raw_mode(0o644))?)
    }

    /// Waits until the file is on disk, then renames it to `name`, which must be free.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if any entry has the name, even a link.
    pub fn publish(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        rename_to_free_name(self.directory, &self.name, self.directory, name)?;
        self.is_named = true;
        self.directory.sync()
    }

    /// Waits until the file is on disk, then renames it to `name`. An existing file is replaced only if the running user owns it.
    pub fn replace(mut self, name: &OsStr) -> io::Result<()> {
        self.directory.find_own(name)?;
        self.file.sync_all()?;
        self.directory.rename(&self.name, name)?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = self.directory.remove(&self.name);
        }
    }
}

/// A directory under a private name. Dropping it removes the directory and its contents.
#[derive(Debug)]
pub struct PrivateDirectory {
    around: Directory,
    name: OsString,
    /// Its descriptor holds the lock, which the kernel releases after a crash too.
    pub inside: Directory,
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // If this fails, the directory is a leftover, which is removed later.
        let _ = self.inside.clear();
        let _ = unlinkat(&self.around, &self.name, AtFlags::REMOVEDIR);
    }
}

/// Moves the entry `from` of `source` to the name `to` in `target`, which must be free.
///
/// Some network file systems do not support such a rename; on these, an empty file reserves the name first.
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

/// Locks a new entry. `false` if another process has removed it as a leftover, or is about to.
fn lock_new(made: &File) -> io::Result<bool> {
    match made.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        // A file system without locks is no error; leftovers stay there.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(fstat(made)?.st_nlink > 0)
}

/// Whether the running user owns the entry, and no other user can use it.
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
