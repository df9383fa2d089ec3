//! Mails as files in a directory, for trying things out without a mail server.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::error::{SendError, TransportError};
use super::message::{Parcel, build, parse_from};
use crate::domain::{MailKind, Timestamp};

/// What a finished file ends with.
const MAIL_SUFFIX: &str = ".eml";
/// What a file ends with while it is written.
const PART_SUFFIX: &str = ".part";

/// Writes mails into a directory as `<expiry>-<kind>-<id>.eml`, the expiry in seconds since 1970.
pub struct FileTransport {
    directory: PathBuf,
    from: Mailbox,
}

impl FileTransport {
    pub(super) fn new(directory: PathBuf, from: &str) -> Result<Self, TransportError> {
        Ok(Self {
            directory,
            from: parse_from(from)?,
        })
    }

    pub(super) async fn send(&self, parcel: &Parcel<'_>) -> Result<(), SendError> {
        let bytes = build(parcel, &self.from)?.formatted();
        let path = self.directory.join(file_name(parcel));
        self.off_the_executor({
            let path = path.clone();
            move |directory| {
                create_directory(directory)?;
                write(&path, &bytes)
            }
        })
        .await?;
        tracing::info!(file = %path.display(), kind = %parcel.kind, "a mail was written to a file");
        Ok(())
    }

    pub(super) async fn check(&self) -> Result<(), SendError> {
        self.off_the_executor(create_directory).await
    }

    /// Removes what had expired at `now`; files that are not of this transport stay.
    pub(super) fn sweep(&self, now: Timestamp) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let expires_at = entry.file_name().to_str().and_then(expires_at_seconds);
            if expires_at.is_none_or(|seconds| seconds > now.as_seconds()) {
                continue;
            }
            match fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                // Whoever tries things out may remove it first.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Runs `work` on the directory where it may block.
    async fn off_the_executor(
        &self,
        work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), SendError> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || work(&directory))
            .await
            .unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
            .map_err(|source| SendError::File {
                directory: self.directory.clone(),
                source,
            })
    }
}

fn create_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Writes beside `path` and renames, so that nobody reads half a mail. A second attempt replaces the first: it is the same mail.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension(PART_SUFFIX.trim_start_matches('.'));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

fn file_name(parcel: &Parcel<'_>) -> String {
    let id: String = parcel
        .message_id
        .trim_matches(['<', '>'])
        .split('@')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!(
        "{}-{}-{id}{MAIL_SUFFIX}",
        parcel.expires_at.as_seconds(),
        parcel.kind
    )
}

/// When the mail in a file of that name expires; `None` if it is no file of ours.
fn expires_at_seconds(name: &str) -> Option<i64> {
    let stem = name
        .strip_suffix(MAIL_SUFFIX)
        .or_else(|| name.strip_suffix(PART_SUFFIX))?;
    let (expires_at, rest) = stem.split_once('-')?;
    let (kind, _) = rest.split_once('-')?;
    MailKind::from_name(kind)?;
    expires_at.parse().ok()
}
