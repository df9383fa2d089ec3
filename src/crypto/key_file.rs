//! The key file: 32 random bytes, without which no token can be minted and no sealed value can be opened.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::crypto::Keys;
use crate::domain::Timestamp;
use crate::files::{self, Directory, Flaw};
use crate::system::System;

const KEY_BYTES: usize = 32;
/// The extension of the file with the key that is to replace the key file.
const SUCCESSOR: &str = "next";

/// Why the key file cannot be used. Such a file is never overwritten.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key file {} does not exist", .0.display())]
    Missing(PathBuf),
    #[error("the key file {} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the key file {} can be read by others (mode {mode:04o})", path.display())]
    TooOpen { path: PathBuf, owner: u32, mode: u32 },
    /// Neither the running user nor root owns it.
    #[error("the key file {} belongs to {}", path.display(), files::shown_user(*owner))]
    OtherOwner { path: PathBuf, owner: u32 },
    #[error("the key file {} cannot be replaced where it is: {reason}", path.display())]
    NotReplaceable { path: PathBuf, reason: String },
    #[error("the key file {} has {bytes} bytes, but a key has 32", path.display())]
    WrongLength {
        path: PathBuf,
        /// The length of the file; 33 also stands for any larger number.
        bytes: usize,
    },
}

fn cannot_use(path: &Path) -> impl Fn(io::Error) -> KeyFileError + Copy {
    move |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Reads the key file at `path`, which must exist.
pub fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let fail = cannot_use(path);
    let mut file = files::open_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => fail(error),
    })?;
    let found = file.metadata().map_err(fail)?;
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    let path = path.to_owned();
    match files::secret_flaw((owner, mode), files::runner()) {
        None => {}
        Some(Flaw::Owner(owner)) => return Err(KeyFileError::OtherOwner { path, owner }),
        Some(_) => return Err(KeyFileError::TooOpen { path, owner, mode }),
    }
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    Read::take(&mut file, KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    let key: [u8; KEY_BYTES] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| KeyFileError::WrongLength {
            path,
            bytes: bytes.len(),
        })?;
    Ok(Keys::derive(&key))
}

/// Tests whether the key file at `path`, which may be missing, can be replaced. The test leaves no file behind.
///
/// # Errors
/// [`KeyFileError::NotReplaceable`]: the directory cannot be written, or an orchestrator provides the file by a link, by a mount or as root, and
/// would restore the old one.
pub fn check_replaceable(path: &Path, now: Timestamp) -> Result<(), KeyFileError> {
    let refuse = |reason: String| KeyFileError::NotReplaceable {
        path: path.to_owned(),
        reason,
    };
    let try_all = || {
        let (directory, name) = Directory::of(path)?;
        directory.may_write().map_err(|error| {
            io::Error::other(format!(
                "{} cannot be written: {error}",
                directory.path().display()
            ))
        })?;
        if directory.find_own(&name)?.is_some() {
            // A replacement keeps the old key under a second name. A file that is mounted by itself cannot have one, and some file systems do not support it.
            let second = beside(path, &format!("replaced.{}", now.to_file_stamp()));
            directory.hard_link(&name, name_of(&second))?;
            directory.remove(name_of(&second))?;
        }
        Ok(())
    };
    try_all().map_err(|error: io::Error| refuse(error.to_string()))
}

/// Generates a new key (the successor), and writes it to a file beside the key file at `path`. [`adopt_successor`] then replaces the key file by it.
///
/// An earlier successor is overwritten if the running user owns it. The caller has made sure that no database belongs to it.
pub fn create_successor(path: &Path, system: &System) -> Result<Keys, KeyFileError> {
    let successor = beside(path, SUCCESSOR);
    let replace = || {
        let (directory, name) = Directory::of(&successor)?;
        // A directory that cannot be listed may still be writable.
        let _ = directory.clear_leftovers();
        let mut new = directory.new_file()?;
        new.file.write_all(&system.random::<KEY_BYTES>())?;
        new.replace(&name)?;
        directory.sync()
    };
    replace().map_err(cannot_use(&successor))?;
    read(&successor)
}

/// Removes the successor of the key file at `path`. The caller has made sure that no database belongs to it.
pub fn remove_successor(path: &Path) -> Result<(), KeyFileError> {
    let successor = beside(path, SUCCESSOR);
    let remove = || {
        let (directory, name) = Directory::of(&successor)?;
        directory.remove(&name)?;
        directory.sync()
    };
    remove().map_err(cannot_use(&successor))
}

/// The successor of the key file at `path`; `None` if there is none that can be read.
pub fn find_successor(path: &Path) -> Option<Keys> {
    read(&beside(path, SUCCESSOR)).ok()
}

/// Replaces the key file at `path` by its successor. Returns the new path of the old key; `None` if there was none.
///
/// `path` has a complete key at all times. The old key is kept because older backups need it.
pub fn adopt_successor(path: &Path, now: Timestamp) -> Result<Option<PathBuf>, KeyFileError> {
    let old = beside(path, &format!("replaced.{}", now.to_file_stamp()));
    let adopt = || {
        let (directory, name) = Directory::of(path)?;
        let had_one = match directory.hard_link(&name, name_of(&old)) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        directory.rename(name_of(&beside(path, SUCCESSOR)), &name)?;
        directory.sync()?;
        Ok(had_one)
    };
    let had_one = adopt().map_err(cannot_use(path))?;
    Ok(had_one.then_some(old))
}

/// `arkloop.key` and `next` give `arkloop.key.next`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
