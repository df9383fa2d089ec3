//! An open directory, and operations on its entries.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, accessat, fstat, linkat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::trust::{STICKY, flaw_of, is_listed, is_read_only, is_trusted};
use super::untrusted::{Flaw, Untrusted};
use super::users::runner;

/// An open directory. Its methods work on that directory even if its path leads elsewhere later.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// A directory on the path that another user created in a directory that all users can write to, and the id of that user.
    pub(super) planted: Option<(PathBuf, u32)>,
}

impl Directory {
    /// Refuses this directory if another user created it, or a directory above it, in a directory that all users can write to, such as `/tmp`.
    pub fn refuse_planted(&self) -> io::Result<()> {
        match &self.planted {
            None => Ok(()),
            Some((path, owner)) => Err(Untrusted::new(path.clone(), Flaw::DirectoryOf(*owner)).into()),
        }
    }

    /// Fails unless this process may leave files in this directory. The directory must not be [planted](Directory::refuse_planted), this process must be able
    /// to write to it, and if root runs this process, root must own it.
    pub fn refuse_to_write(&self) -> io::Result<()> {
        self.refuse_planted()?;
        self.refuse_for_root()?;
        self.may_write()
    }

    /// Refuses the directory of another user if root runs this process, because that user could not use the entries that root creates.
    pub(super) fn refuse_for_root(&self) -> io::Result<()> {
        match self.stat()?.st_uid {
            owner if runner() == 0 && owner != 0 => {
                Err(Untrusted::new(self.path.clone(), Flaw::DirectoryOf(owner)).into())
            }
            _ => Ok(()),
        }
    }

    /// Why users other than root and the running user can change its entries; `None` if they cannot.
    pub fn flaw(&self) -> io::Result<Option<Flaw>> {
        flaw_of(&self.stat()?, || Ok(is_listed(self.reopen()?)))
    }

    /// Fails if this process may not create entries in this directory.
    pub fn may_write(&self) -> io::Result<()> {
        // Without flags, because the seccomp filters of older container engines refuse the system call that takes flags.
        let access = Access::WRITE_OK | Access::EXEC_OK;
        Ok(accessat(&self.fd, ".", access, AtFlags::empty())?)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.fd)?)
    }

    /// The metadata of the entry `name`, without following a link; `None` if there is no such entry.
    pub fn find(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Directory::find`], but refuses everything except a regular file of the running user.
    pub fn find_own(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        let Some(found) = self.find(name)? else {
            return Ok(None);
        };
        self.judge_kind(name, &found)?;
        if found.st_uid != runner() {
            return Err(self.untrusted(name, Flaw::Owner(found.st_uid)));
        }
        Ok(Some(found))
    }

    /// Opens the regular file `name` of the running user, or creates it if `flags` say so. Never follows a link or waits for a pipe.
    pub fn open_own(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let file = self.open_regular(name, flags)?;
        match fstat(&file)?.st_uid {
            owner if owner == runner() => Ok(file),
            owner => Err(self.untrusted(name, Flaw::Owner(owner))),
        }
    }

    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.reopen()?)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes the entry `name`, which must not be a directory.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Renames the entry `from` to `to`, and replaces an entry of that name.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Gives the entry `name` a second name, which must be free.
    pub fn hard_link(&self, name: &OsStr, second: &OsStr) -> io::Result<()> {
        Ok(linkat(&self.fd, name, &self.fd, second, AtFlags::empty())?)
    }

    /// Waits until the names of the entries are on disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.reopen()?)?)
    }

    /// Opens the directory again for reading, because the walk along a path opens it without that right.
    fn reopen(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.fd, ".", flags, Mode::empty())
    }

    /// Returns a handle to the entry `name`, of any kind, and its metadata. The entry is not opened for reading or writing.
    pub(super) fn look_at(&self, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = openat(&self.fd, name, flags, Mode::empty())?;
        let found = fstat(&entry)?;
        Ok((entry, found))
    }

    pub(super) fn open_regular(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Opening a device may have effects, so the kind is checked before opening, and again after it.
        if let Some(found) = self.find(name)? {
            self.judge_kind(name, &found)?;
        }
        match openat(&self.fd, name, flags | careful, Mode::RUSR | Mode::WUSR) {
            Ok(opened) => {
                self.judge_kind(name, &fstat(&opened)?)?;
                Ok(opened.into())
            }
            Err(Errno::LOOP) => Err(self.untrusted(name, Flaw::Link)),
            Err(error) => Err(error.into()),
        }
    }

    fn judge_kind(&self, name: &OsStr, found: &Stat) -> io::Result<()> {
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => Err(self.untrusted(name, Flaw::Link)),
            FileType::Directory => Err(Errno::ISDIR.into()),
            _ => Err(self.untrusted(name, Flaw::Not("regular file"))),
        }
    }

    /// Refuses the link `name` if another user may have made it.
    pub(super) fn judge_link(&self, name: &OsStr, link: &Stat) -> io::Result<()> {
        if is_read_only(&self.fd)? {
            return Ok(());
        }
        let found = self.stat()?;
        if found.st_mode & STICKY != 0 && is_trusted(found.st_uid) {
            return match link.st_uid {
                owner if is_trusted(owner) => Ok(()),
                owner => Err(self.untrusted(name, Flaw::Owner(owner))),
            };
        }
        match self.flaw()? {
            None => Ok(()),
            Some(flaw) => {
                let untrusted = Untrusted::new(self.path.clone(), flaw);
                Err(untrusted.holding(self.path.join(name)).into())
            }
        }
    }

    /// The error for the entry `name`, which has this flaw.
    pub fn untrusted(&self, name: &OsStr, flaw: Flaw) -> io::Error {
        Untrusted::new(self.path.join(name), flaw).into()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
