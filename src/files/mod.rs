//! Files and directories that others may have a hand in: how they are found, judged, made and removed.
//!
//! A path is walked one name at a time from an open directory, so that what was judged is what is used, and a link is followed only where a stranger
//! cannot have put it. Everything after that goes through the open directory. What the program makes has a private name first (see `made`). SQLite
//! opens its files by path, and therefore works in the data directory alone.

mod made;
mod untrusted;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, StatVfsMountFlags, fgetxattr_query, fstat, fstatvfs,
    mkdirat, openat, readlinkat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

pub use made::{NewFile, PrivateDirectory, rename_to_free_name};
pub use untrusted::{Flaw, Untrusted};

/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: u32 = 40;
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
    /// Whether everybody may make entries in the directory that this one lies in.
    is_among_strangers: bool,
}

/// Where a path ends.
enum End {
    Directory(Directory),
    /// At an entry that is neither a directory nor a link.
    Entry(Directory, OsString),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuse,
    Make,
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
    /// As [`Directory::open`]; also if a stranger has made it where everybody can, as in `/tmp`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let directory = match walk(path, Missing::Make)? {
            End::Directory(directory) => directory,
            End::Entry(..) => return Err(Errno::NOTDIR.into()),
        };
        let owner = directory.stat()?.st_uid;
        if directory.is_among_strangers && !is_trusted(owner) {
            return Err(Untrusted::new(directory.path, Flaw::Owner(owner)).into());
        }
        Ok(directory)
    }

    /// Opens the directory that `path` lies in; the name of `path` there.
    pub fn of(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((Self::open(parent_of(path))?, name.to_owned()))
    }

    /// As [`Directory::of`] with a directory that is made where it is missing.
    pub fn create_of(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((Self::create(parent_of(path))?, name.to_owned()))
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut names = Vec::new();
        for entry in Dir::new(openat(&self.fd, ".", flags, Mode::empty())?)? {
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::fsync(openat(&self.fd, ".", flags, Mode::empty())?)?)
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
        if found.st_mode & STICKY != 0 {
            return match link.st_uid {
                owner if is_trusted(owner) => Ok(()),
                owner => Err(self.untrusted(name, Flaw::Owner(owner))),
            };
        }
        match flaw_of(&found) {
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
/// 002. Its directory is not writable by everybody, unless sticky. What is mounted read-only is not judged: the mount is an administrator's doing.
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
    // The group's bits are the mask of an access list, which may name any user.
    let is_listed = || fgetxattr_query(&file, "system.posix_acl_access").is_ok();
    if found.st_mode & GROUP_WRITE != 0 && is_listed() {
        return Err(directory.untrusted(&name, Flaw::Writable(bits(&found))));
    }
    let around = directory.stat()?;
    let is_open = around.st_mode & OTHERS_WRITE != 0 && around.st_mode & STICKY == 0;
    if is_open && !is_read_only(&directory)? {
        return Err(Untrusted::new(directory.path, Flaw::Writable(bits(&around))).into());
    }
    Ok(file)
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

/// Who runs this process, as the kernel judges it.
pub fn runner() -> u32 {
    rustix::process::geteuid().as_raw()
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

fn bits(found: &Stat) -> u32 {
    found.st_mode & 0o7777
}

fn is_read_only(of: impl AsFd) -> io::Result<bool> {
    Ok(fstatvfs(of)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Goes along `path`, one name at a time.
fn walk(path: &Path, missing: Missing) -> io::Result<End> {
    let mut here = start(path)?;
    let mut ahead = names_in(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        let (entry, found) = match here.look_at(&name) {
            Err(Errno::NOENT) if missing == Missing::Make => match mkdirat(&here.fd, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => here.look_at(&name)?,
                Err(error) => return Err(error.into()),
            },
            looked => looked?,
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                here = Directory {
                    is_among_strangers: name != ".." && here.stat()?.st_mode & OTHERS_WRITE != 0,
                    path: here.path.join(&name),
                    fd: entry,
                }
            }
            FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                here.judge_link(&name, &found)?;
                let target = readlinkat(&entry, "", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    here = start(&target)?;
                }
                ahead.extend(names_in(&target));
            }
            _ if ahead.is_empty() => return Ok(End::Entry(here, name)),
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(End::Directory(here))
}

/// The directory that `path` counts from.
fn start(path: &Path) -> io::Result<Directory> {
    let from = if path.is_absolute() { "/" } else { "." };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Directory {
        fd: openat(CWD, from, flags, Mode::empty())?,
        path: if path.is_absolute() {
            "/".into()
        } else {
            PathBuf::new()
        },
        is_among_strangers: false,
    })
}

/// The names in `path`, the last one first.
fn names_in(path: &Path) -> Vec<OsString> {
    let name = |part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).rev().collect()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
