//! Reads secrets that other users must not have read.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::trust::secret_flaw;
use super::untrusted::Untrusted;
use super::users::runner;
use super::walk::open_file;

/// Reads a file that only the running user, or root and one group, can read.
///
/// # Errors
/// [`Untrusted`] inside, or the error of the system.
pub fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let found = file.metadata()?;
    if let Some(flaw) = secret_flaw((found.uid(), found.mode() & 0o7777), runner()) {
        return Err(Untrusted::new(path.to_owned(), flaw).into());
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
