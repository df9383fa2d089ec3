//! Mails as files in a directory, for trials without a mail server.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::compose::Message;
use super::error::SendError;
use super::message::build;
use crate::domain::{MailKind, QueuedMail, Timestamp};
use crate::files::Directory;

const MAIL_SUFFIX: &str = ".eml";
/// The suffix of half-written mails of release 0.1.
const PART_SUFFIX: &str = ".part";

/// Writes mails into a directory as `<expiry>-<kind>-<id>.eml`, with the expiry in seconds since 1970.
pub struct FileTransport {
    pub(super) directory: PathBuf,
    pub(super) from: Mailbox,
}

impl FileTransport {
    pub(super) async fn send(&self, mail: &QueuedMail, message: &Message) -> Result<(), SendError> {
        let bytes = build(mail, message, &self.from)?.formatted();
        let name = file_name(mail);
        let path = self.directory.join(&name);
        self.off_the_executor(move |directory| {
            write(&Directory::create(directory)?, OsStr::new(&name), &bytes)
        })
        .await?;
        tracing::info!(file = %path.display(), kind = mail.kind, "a mail was written to a file");
        Ok(())
    }

    /// Checks that the directory can be used. A missing directory is no error: the first mail creates it.
    pub(super) async fn check(&self) -> Result<(), SendError> {
        let look = |directory: &Path| match Directory::open(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => opened?.refuse_to_write(),
        };
        self.off_the_executor(look).await
    }

    /// Removes mails that have expired at `now`, half-written ones of release 0.1 included, and returns their number. Also removes leftovers of crashes. Other
    /// files stay, and so do files of other users.
    pub(super) fn sweep(&self, now: Timestamp) -> io::Result<usize> {
        let directory = match Directory::open(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            directory => directory?,
        };
        directory.clear_leftovers()?;
        let mut removed = 0;
        for name in directory.names()? {
            let expires_at = name.to_str().and_then(expires_at_seconds);
            if expires_at.is_none_or(|seconds| seconds > now.as_seconds())
                || !directory.find_own(&name).is_ok_and(|found| found.is_some())
            {
                continue;
            }
            match directory.remove(&name) {
                Ok(()) => removed += 1,
                // The operator may have removed it first.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Runs `work` on a thread that may block.
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

/// Writes the file under a private name first, so that no program reads half a mail. A second attempt replaces the file with the same mail.
fn write(directory: &Directory, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let mut new = directory.new_file()?;
    new.file.write_all(bytes)?;
    new.replace(name)
}

fn file_name(mail: &QueuedMail) -> String {
    let expires_at = mail.expires_at.as_seconds();
    let id = mail.id.to_string().replace('-', "_");
    format!("{expires_at}-{}-{id}{MAIL_SUFFIX}", mail.kind)
}

/// When the mail in a file with this name expires; `None` if the file is not a mail.
fn expires_at_seconds(name: &str) -> Option<i64> {
    let stem = name
        .strip_suffix(MAIL_SUFFIX)
        .or_else(|| name.strip_suffix(PART_SUFFIX))?;
    let (expires_at, rest) = stem.split_once('-')?;
    let (kind, _) = rest.split_once('-')?;
    kind.parse::<MailKind>().ok()?;
    expires_at.parse().ok()
}
