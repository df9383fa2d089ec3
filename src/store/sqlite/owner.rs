//! Where a database may be made. It is asked before anything is made, opened or locked.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::Store;
use super::open::DATABASE;
use crate::files::{Directory, runner};
use crate::store::OpenError;

impl Store {
    /// Decides whether this process may make a database in `directory`, where there is none. If the directory is missing too, the nearest one above it
    /// decides.
    ///
    /// # Errors
    /// [`OpenError::OtherDirectory`] also for root in the directory of any other user, whose server could not use what root makes.
    /// [`OpenError::NotWritable`]. [`OpenError::Beside`] if `directory` is missing, and there is a database one level up.
    pub fn may_create(directory: &Path) -> Result<(), OpenError> {
        let fail = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        let (around, is_there) = nearest(directory).map_err(fail)?;
        around.refuse_planted().map_err(fail)?;
        let (owner, runner) = (around.stat().map_err(fail)?.st_uid, runner());
        let path = around.path().to_owned();
        if owner != runner && (runner == 0 || is_there && owner != 0) {
            return Err(OpenError::OtherDirectory { path, owner, runner });
        }
        if directory.parent() == Some(&path) && matches!(around.find(OsStr::new(DATABASE)), Ok(Some(_))) {
            return Err(OpenError::Beside {
                directory: directory.to_owned(),
                found: path,
            });
        }
        around
            .may_write()
            .map_err(|source| OpenError::NotWritable { path, runner, source })
    }
}

/// The directory at `path`, or the nearest one above it that is there; whether it is the first.
fn nearest(path: &Path) -> io::Result<(Directory, bool)> {
    for (above, path) in path.ancestors().enumerate() {
        match Directory::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return Ok((opened?, above == 0)),
        }
    }
    Err(ErrorKind::NotFound.into())
}
