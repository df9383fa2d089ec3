//! The way along a path, one name at a time.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use super::{Directory, OTHERS_WRITE, is_trusted};

/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: u32 = 40;

/// Where a path ends.
pub(super) enum End {
    Directory(Directory),
    /// At an entry that is neither a directory nor a link.
    Entry(Directory, OsString),
}

/// What becomes of a directory that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Refuse,
    Make,
}

/// Goes along `path`, one name at a time.
pub(super) fn walk(path: &Path, missing: Missing) -> io::Result<End> {
    let mut here = start(path)?;
    let mut ahead = names_in(path);
    let mut links = 0;
    // Whatever comes after it, also over `..` and links.
    let mut planted = None;
    while let Some(name) = ahead.pop() {
        let (entry, found) = match here.look_at(&name) {
            Err(Errno::NOENT) if missing == Missing::Make => {
                here.refuse_for_root()?;
                match mkdirat(&here.fd, &name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => here.look_at(&name)?,
                    Err(error) => return Err(error.into()),
                }
            }
            looked => looked?,
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                let is_among_strangers = name != ".." && here.stat()?.st_mode & OTHERS_WRITE != 0;
                let path = here.path.join(&name);
                if is_among_strangers && !is_trusted(found.st_uid) && planted.is_none() {
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
        planted: None,
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

pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
