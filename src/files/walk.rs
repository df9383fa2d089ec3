//! Opens directories and files by walking along a path, one name at a time.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use super::directory::Directory;
use super::trust::{OTHERS_WRITE, STICKY, bits, flaw_of, is_listed, is_read_only, is_trusted};
use super::untrusted::{Flaw, Untrusted};

/// The most links on a path, as in the kernel.
const MAX_LINKS: u32 = 40;

/// Where a path ends.
enum End {
    Directory(Directory),
    /// At an entry that is neither a directory nor a link: its directory and its name.
    Entry(Directory, OsString),
}

/// What to do about a missing directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuse,
    Make,
}

impl Directory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`Untrusted`] inside, if another user may have created a link on the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        match walk(path, Missing::Refuse)? {
            End::Directory(directory) => Ok(directory),
            End::Entry(..) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Opens the directory at `path`. Missing directories on the path are created, for their owner only.
    ///
    /// # Errors
    /// As [`Directory::open`] and [`Directory::refuse_planted`].
    pub fn create(path: &Path) -> io::Result<Self> {
        match walk(path, Missing::Make)? {
            End::Directory(directory) => directory.refuse_planted().map(|()| directory),
            End::Entry(..) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Opens the parent directory of `path` for a file that will be created in it, and also returns the last name of `path`.
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub fn of(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = Self::open(path.parent().unwrap_or(Path::new(".")))?;
        directory.refuse_planted()?;
        Ok((directory, name.to_owned()))
    }
}

/// Opens a file that controls the program, if only root and the running user can have written it.
///
/// Root or the running user must own the file and its directory. Other users must not be able to write to the file, except for the process's own group (as after
/// a `git clone` with umask 002). All users may write to the directory only if it is sticky. A read-only mount is not checked, because an administrator made it.
///
/// # Errors
/// [`Untrusted`] inside, or the error of the system.
pub fn open_trusted(path: &Path) -> io::Result<File> {
    let End::Entry(directory, name) = walk(path, Missing::Refuse)? else {
        return Err(Errno::ISDIR.into());
    };
    let file = directory.open_regular(&name, OFlags::RDONLY)?;
    if is_read_only(&file)? {
        return Ok(file);
    }
    if let Some(flaw) = flaw_of(&fstat(&file)?, || Ok(is_listed(&file)))? {
        return Err(directory.untrusted(&name, flaw));
    }
    let around = directory.stat()?;
    let is_unguarded = around.st_mode & OTHERS_WRITE != 0 && around.st_mode & STICKY == 0;
    let flaw = match around.st_uid {
        owner if !is_trusted(owner) => Flaw::DirectoryOf(owner),
        _ if is_unguarded => Flaw::Writable(bits(&around)),
        _ => return Ok(file),
    };
    if is_read_only(&directory)? {
        return Ok(file);
    }
    Err(Untrusted::new(directory.path().to_owned(), flaw).into())
}

/// Reads the text of a file that [`open_trusted`] accepts.
pub fn read_trusted(path: &Path) -> io::Result<String> {
    io::read_to_string(open_trusted(path)?)
}

/// Opens a file that the caller will check, without waiting for a pipe. Follows links as [`Directory::open`] does.
pub fn open_file(path: &Path) -> io::Result<File> {
    match walk(path, Missing::Refuse)? {
        End::Entry(directory, name) => directory.open_regular(&name, OFlags::RDONLY),
        End::Directory(_) => Err(Errno::ISDIR.into()),
    }
}

/// Waits until the name of a new directory is on disk: with it, a loss of power would take all that was written into the new directory.
fn sync_name(parent: &Directory) -> io::Result<()> {
    match parent.sync() {
        // A directory can be synced only by those who may read it, and not by all who may create names in it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn walk(path: &Path, missing: Missing) -> io::Result<End> {
    let mut here = start(path)?;
    let mut ahead = names_in(path);
    let mut links = 0;
    // Once set it stays set, even after `..` and links.
    let mut planted = None;
    while let Some(name) = ahead.pop() {
        let (entry, found) = match here.look_at(&name) {
            Err(Errno::NOENT) if missing == Missing::Make => {
                here.refuse_for_root()?;
                match mkdirat(&here.fd, &name, Mode::RWXU) {
                    Ok(()) => {
                        sync_name(&here)?;
                        here.look_at(&name)?
                    }
                    Err(Errno::EXIST) => here.look_at(&name)?,
                    Err(error) => return Err(error.into()),
                }
            }
            looked => looked?,
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                let is_world_writable = name != ".." && here.stat()?.st_mode & OTHERS_WRITE != 0;
                let path = here.path.join(&name);
                if is_world_writable && !is_trusted(found.st_uid) && planted.is_none() {
                    planted = Some((path.clone(), found.st_uid));
                }
                here = Directory {
                    planted: planted.clone(),
                    path,
                    fd: entry,
                };
                if missing == Missing::Make {
                    here.refuse_planted()?;
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
                    here.planted.clone_from(&planted);
                }
                ahead.extend(names_in(&target));
            }
            _ if ahead.is_empty() => return Ok(End::Entry(here, name)),
            _ => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(End::Directory(here))
}

/// Opens the directory where `path` begins.
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
        planted: None,
    })
}

/// The names in `path`, in reverse order.
fn names_in(path: &Path) -> Vec<OsString> {
    let name = |part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).rev().collect()
}
