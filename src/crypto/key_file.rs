//! The key file: 32 random bytes beside the database, without which no token can be minted and nothing sealed can be read.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::crypto::Keys;
use crate::domain::Timestamp;
use crate::files::{self, Directory, Flaw};
use crate::system::System;

const KEY_BYTES: usize = 32;
/// Behind the name of the key file: the key that is about to take its place.
const SUCCESSOR: &str = "next";

/// Why the key file cannot be used. It is never overwritten.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("the key file {} does not exist", .0.display())]
    Missing(PathBuf),
    /// It cannot be read or created.
    #[error("the key file {} cannot be used", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error("the key file {} can be read by others (mode {mode:04o})", path.display())]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Neither the running user nor root owns it.
    #[error("the key file {} belongs to {}", path.display(), files::shown_user(*owner))]
    OtherOwner {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Another one cannot take its place.
    #[error("the key file {} cannot be replaced where it is: {reason}", path.display())]
    NotReplaceable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is no key file.
    #[error("the key file {} has {bytes} bytes, but a key has 32", path.display())]
    WrongLength {
        /// Which file.
        path: PathBuf,
        /// How many bytes it has; one more than a key stands for any larger number.
        bytes: usize,
    },
}

/// Reads the key file at `path`, which must exist.
pub fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let fail = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
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

/// Decides whether another key could take the place of the key file at `path`, which may be missing. Nothing is left of what it tries.
///
/// # Errors
/// [`KeyFileError::NotReplaceable`]: an orchestrator has put it there, by a link, a mount or as root, and would bring the old one back.
pub fn may_replace(path: &Path, now: Timestamp) -> Result<(), KeyFileError> {
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
            // Of a file that is mounted by itself, and on file systems without such names, the old key could not be kept.
            let second = beside(path, &format!("replaced.{}", now.to_file_stamp()));
            directory.hard_link(&name, name_of(&second))?;
            directory.remove(name_of(&second))?;
        }
        Ok(())
    };
    try_all().map_err(|error: io::Error| refuse(error.to_string()))
}

/// Draws a new key and writes it beside the key file at `path`, whose place it takes with [`adopt_successor`]. It is on disk afterwards.
///
/// One that was never adopted is of no database, or this would not be called, and makes way if the running user owns it.
pub fn create_successor(path: &Path, system: &System) -> Result<Keys, KeyFileError> {
    let successor = beside(path, SUCCESSOR);
    let replace = || {
        let (directory, name) = Directory::of(&successor)?;
        // A directory that cannot be listed is no reason not to make a key in it.
        let _ = directory.clear_leftovers();
        let mut file = directory.new_file()?;
        file.write_all(&system.random::<KEY_BYTES>())?;
        file.replace(&name)?;
        directory.sync()
    };
    replace().map_err(|source| KeyFileError::Io {
        path: successor.clone(),
        source,
    })?;
    read(&successor)
}

/// The key beside the key file at `path` that was to take its place; `None` if there is none that can be read.
pub fn find_successor(path: &Path) -> Option<Keys> {
    read(&beside(path, SUCCESSOR)).ok()
}

/// Puts the successor in the place of the key file at `path`, and says where that is kept now; `None` if there was none.
///
/// There is a whole key under the name at every moment. The old one is kept because older backups need it.
pub fn adopt_successor(path: &Path, now: Timestamp) -> Result<Option<PathBuf>, KeyFileError> {
    let fail = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
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
    let had_one = adopt().map_err(fail)?;
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
