//! An open directory, and what is done through it.

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

/// An open directory: what is done through it happens there, even if its path leads elsewhere later.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// The directory on the way here that another user made in a directory that all users can write to, and that user.
    pub(super) planted: Option<(PathBuf, u32)>,
}

impl Directory {
    /// Refuses a directory that another user made, or that lies in one, where all users can make entries, as in `/tmp`.
    pub fn refuse_planted(&self) -> io::Result<()> {
        match &self.planted {
            None => Ok(()),
            Some((path, owner)) => Err(Untrusted::new(path.clone(), Flaw::DirectoryOf(*owner)).into()),
        }
    }

    /// Refuses it for files that this process would leave there: if it was [planted](Directory::refuse_planted), if root runs this and another user owns it, or
    /// if it cannot be written.
    pub fn refuse_to_write(&self) -> io::Result<()> {
        self.refuse_planted()?;
        self.refuse_for_root()?;
        self.may_write()
    }

    /// Refuses root in the directory of another user, who could not use what root makes there.
    pub(super) fn refuse_for_root(&self) -> io::Result<()> {
        match self.stat()?.st_uid {
            owner if runner() == 0 && owner != 0 => {
                Err(Untrusted::new(self.path.clone(), Flaw::DirectoryOf(owner)).into())
            }
            _ => Ok(()),
        }
    }

    /// Why users other than root and the running one decide what is in it; `None` if they do not.
    pub fn flaw(&self) -> io::Result<Option<Flaw>> {
        flaw_of(&self.stat()?, || Ok(is_listed(self.reopen()?)))
    }

    /// Whether this process may make entries in it.
    pub fn may_write(&self) -> io::Result<()> {
        // No flags: the seccomp filters of older container engines refuse the call that takes them.
        let access = Access::WRITE_OK | Access::EXEC_OK;
        Ok(accessat(&self.fd, ".", access, AtFlags::empty())?)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.fd)?)
    }

    /// The entry `name` itself, also if it is a link; `None` if there is none.
    pub fn find(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Directory::find`]; refuses all but a regular file of the running user.
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

    /// Opens the regular file `name` of the running user, or makes it if `flags` say so. It neither follows a link nor waits at a pipe.
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

    /// Gives the entry `from` the name `to`, and replaces an entry of that name.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Gives the entry `name` a second name, which must be free.
    pub fn hard_link(&self, name: &OsStr, second: &OsStr) -> io::Result<()> {
        Ok(linkat(&self.fd, name, &self.fd, second, AtFlags::empty())?)
    }

    /// Waits until the names in it are on disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.reopen()?)?)
    }

    /// The directory, open for reading: on the way along a path, directories are opened without that right.
    fn reopen(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.fd, ".", flags, Mode::empty())
    }

    /// A handle to the entry `name` of any kind, without opening it.
    pub(super) fn look_at(&self, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = openat(&self.fd, name, flags, Mode::empty())?;
        let found = fstat(&entry)?;
        Ok((entry, found))
    }

    pub(super) fn open_regular(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Opening a device may have effects, so the kind is checked before and after.
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

    /// Refuses the link `name` if another user may have put it here.
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

    /// An error that says what is wrong with the entry `name`.
    pub fn untrusted(&self, name: &OsStr, flaw: Flaw) -> io::Error {
        Untrusted::new(self.path.join(name), flaw).into()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
