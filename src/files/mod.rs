//! Files and directories that others may have a hand in: how they are found, judged, made and removed.
//!
//! A path is walked one name at a time from an open directory, so that what was judged is what is used, and a link is followed only where a stranger
//! cannot have put it. Everything after that goes through the open directory. What the program makes has a private name first (see `made`). SQLite
//! opens its files by path, and therefore works in the data directory alone.

mod made;
mod untrusted;
mod users;
mod walk;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, StatVfsMountFlags, accessat, fgetxattr_query, fstat,
    fstatvfs, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

pub use made::{NewFile, PrivateDirectory, rename_to_free_name};
pub use untrusted::{Flaw, Untrusted, quoted};
pub use users::{chown_argument, run_as, runner, shown_user};
use walk::{End, Missing, parent_of, walk};

/// What others than the owner and the group may do.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
/// In such a directory an entry is renamed and removed by its own owner only.
const STICKY: u32 = 0o1000;

/// An open directory: what is done through it happens there, whatever becomes of its path.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    /// What a stranger has made on the way here where everybody can, and who.
    planted: Option<(PathBuf, u32)>,
}

impl Directory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`Untrusted`] inside, if a link on the way may be a stranger's.
    pub fn open(path: &Path) -> io::Result<Self> {
        match walk(path, Missing::Refuse)? {
            End::Directory(directory) => Ok(directory),
            End::Entry(..) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Opens the directory at `path`, and makes it, readable by its owner only, where it is missing.
    ///
    /// # Errors
    /// As [`Directory::open`]; also if a stranger has made it, or a directory on the way, where everybody can, as in `/tmp`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let directory = match walk(path, Missing::Make)? {
            End::Directory(directory) => directory,
            End::Entry(..) => return Err(Errno::NOTDIR.into()),
        };
        directory.refuse_planted()?;
        Ok(directory)
    }

    /// Opens the directory that `path` lies in, for what is made there; the name of `path` in it.
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub fn of(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = Self::open(parent_of(path))?;
        directory.refuse_planted()?;
        Ok((directory, name.to_owned()))
    }

    /// Refuses it if a stranger has made it, or a directory on the way to it, where everybody can, as in `/tmp`.
    pub fn refuse_planted(&self) -> io::Result<()> {
        match &self.planted {
            None => Ok(()),
            Some((path, owner)) => Err(Untrusted::new(path.clone(), Flaw::DirectoryOf(*owner)).into()),
        }
    }

    /// Refuses it as a place for what this process is to leave there: if it was [planted](Directory::refuse_planted), if root runs this and another user
    /// owns it, or if it cannot be written.
    pub fn refuse_to_write(&self) -> io::Result<()> {
        self.refuse_planted()?;
        self.refuse_for_root()?;
        self.may_write()
    }

    /// Refuses root in the directory of another user, who could not use what root makes there.
    fn refuse_for_root(&self) -> io::Result<()> {
        match self.stat()?.st_uid {
            owner if runner() == 0 && owner != 0 => {
                Err(Untrusted::new(self.path.clone(), Flaw::DirectoryOf(owner)).into())
            }
            _ => Ok(()),
        }
    }

    /// Why not only root and the running user decide what is in it; `None` if they do.
    pub fn flaw(&self) -> io::Result<Option<Flaw>> {
        let found = self.stat()?;
        if let Some(flaw) = flaw_of(&found) {
            return Ok(Some(flaw));
        }
        let is_open = found.st_mode & GROUP_WRITE != 0 && is_listed(self.reopen()?);
        Ok(is_open.then(|| Flaw::Writable(bits(&found))))
    }

    /// Whether this process may make entries in it; what the system says if not.
    pub fn may_write(&self) -> io::Result<()> {
        // No flags: the call that takes them is refused by the seccomp filters of older container engines.
        let access = Access::WRITE_OK | Access::EXEC_OK;
        Ok(accessat(&self.fd, ".", access, AtFlags::empty())?)
    }

    /// The way that led here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its owner, mode and identity.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.fd)?)
    }

    /// What is known of the entry `name` itself, also if it is a link; `None` if there is none.
    pub fn find(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Directory::find`], and refuses anything but a regular file of the running user.
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

    /// The names of its entries.
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

    /// Removes the entry `name`, which is no directory.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Gives the entry `from` the name `to`, in the place of whatever has it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Gives the entry `name` a second name, which must be free.
    pub fn hard_link(&self, name: &OsStr, second: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(
            &self.fd,
            name,
            &self.fd,
            second,
            AtFlags::empty(),
        )?)
    }

    /// Waits until its names are on disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.reopen()?)?)
    }

    /// The directory, open for reading: most that is found on a way is only held.
    fn reopen(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.fd, ".", flags, Mode::empty())
    }

    /// The entry `name`, without opening it, whatever it is.
    fn look_at(&self, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = openat(&self.fd, name, flags, Mode::empty())?;
        let found = fstat(&entry)?;
        Ok((entry, found))
    }

    fn open_regular(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A device might do something when it is opened, so its kind is asked before and after.
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

    /// Refuses the link `name` if a stranger may have put it here.
    fn judge_link(&self, name: &OsStr, link: &Stat) -> io::Result<()> {
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
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens a file that tells the program what to do, if nobody but root and the running user can have written it.
///
/// Its owner is root or the running user, and others cannot write to it; its group can if that is the process's own, as after a `git clone` with umask
/// 002. Root or the running user owns its directory too, and not everybody can write to that, unless it is sticky. What is mounted read-only is not judged: the mount is an administrator's doing.
///
/// # Errors
/// [`Untrusted`] inside, or what the system says.
pub fn open_trusted(path: &Path) -> io::Result<File> {
    let End::Entry(directory, name) = walk(path, Missing::Refuse)? else {
        return Err(Errno::ISDIR.into());
    };
    let file = directory.open_regular(&name, OFlags::RDONLY)?;
    if is_read_only(&file)? {
        return Ok(file);
    }
    let found = fstat(&file)?;
    if let Some(flaw) = flaw_of(&found) {
        return Err(directory.untrusted(&name, flaw));
    }
    if found.st_mode & GROUP_WRITE != 0 && is_listed(&file) {
        return Err(directory.untrusted(&name, Flaw::Writable(bits(&found))));
    }
    let around = directory.stat()?;
    let is_open = around.st_mode & OTHERS_WRITE != 0 && around.st_mode & STICKY == 0;
    let flaw = match around.st_uid {
        owner if !is_trusted(owner) => Flaw::DirectoryOf(owner),
        _ if is_open => Flaw::Writable(bits(&around)),
        _ => return Ok(file),
    };
    if is_read_only(&directory)? {
        return Ok(file);
    }
    Err(Untrusted::new(directory.path, flaw).into())
}

/// Reads a text as [`open_trusted`] opens it.
pub fn read_trusted(path: &Path) -> io::Result<String> {
    io::read_to_string(open_trusted(path)?)
}

/// Opens a file that its caller judges, without waiting at a pipe; a link is followed as on the way.
pub fn open_file(path: &Path) -> io::Result<File> {
    match walk(path, Missing::Refuse)? {
        End::Entry(directory, name) => directory.open_regular(&name, OFlags::RDONLY),
        End::Directory(_) => Err(Errno::ISDIR.into()),
    }
}

/// Whether what belongs to this user counts as the program's own word: its own, and root's, who can do everything anyway.
pub fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == runner()
}

/// Why a secret of this owner and mode is no secret of `user`; `None` if it is one. The one rule for the key file.
///
/// One's own nobody else may use. Root's may be readable by its group, which is how root shows it with one user, and how an access list looks; but the
/// group may not write to it, and others may do nothing (as for the keys of `PostgreSQL`).
pub fn secret_flaw((owner, mode): (u32, u32), user: u32) -> Option<Flaw> {
    let forbidden = match owner {
        owner if owner == user => 0o077,
        0 => 0o027,
        owner => return Some(Flaw::Owner(owner)),
    };
    (mode & forbidden != 0).then_some(Flaw::Readable(mode))
}

fn flaw_of(found: &Stat) -> Option<Flaw> {
    let is_own_group = found.st_gid == rustix::process::getegid().as_raw();
    let is_writable = found.st_mode & OTHERS_WRITE != 0 || found.st_mode & GROUP_WRITE != 0 && !is_own_group;
    match (is_trusted(found.st_uid), is_writable) {
        (false, _) => Some(Flaw::Owner(found.st_uid)),
        (true, true) => Some(Flaw::Writable(bits(found))),
        (true, false) => None,
    }
}

/// Whether it has an access list, whose mask the group's bits are then, and which may name any user.
fn is_listed(of: impl AsFd) -> bool {
    fgetxattr_query(of, "system.posix_acl_access").is_ok()
}

fn bits(found: &Stat) -> u32 {
    found.st_mode & 0o7777
}

fn is_read_only(of: impl AsFd) -> io::Result<bool> {
    Ok(fstatvfs(of)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}
