//! Why a file or directory is not trusted, in words that name it and say how to mend it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{runner, shown_user};

/// What is wrong with an entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A link stands where only a file or directory itself is taken.
    Link,
    /// Another kind of entry than this.
    Not(&'static str),
    /// It belongs to the user with this id.
    Owner(u32),
    /// It is a directory of the user with this id, who may have put anything there.
    DirectoryOf(u32),
    /// Users other than its owner can write to it; the permission bits.
    Writable(u32),
    /// Users other than its owner can use it, and it is a secret; the permission bits.
    Readable(u32),
}

/// A file or directory that is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    path: PathBuf,
    flaw: Flaw,
    /// The link on the way whose directory `path` is.
    link: Option<PathBuf>,
}

impl Untrusted {
    pub(super) fn new(path: PathBuf, flaw: Flaw) -> Self {
        Self {
            path,
            flaw,
            link: None,
        }
    }

    pub(super) fn holding(self, link: PathBuf) -> Self {
        Self {
            link: Some(link),
            ..self
        }
    }

    /// The refusal inside an error of this module; `None` for what the system itself says.
    pub fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What is not trusted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose directory it is, if that is what is wrong with it.
    pub fn directory_owner(&self) -> Option<u32> {
        match self.flaw {
            Flaw::DirectoryOf(owner) => Some(owner),
            _ => None,
        }
    }

    /// The command that mends it, if its owner is to be trusted; `None` if no command does.
    pub fn mend(&self) -> Option<String> {
        let path = quoted(&self.path);
        match self.flaw {
            // What lies in a stranger's directory is not trusted for being given away.
            Flaw::Owner(_) if self.link.is_some() => None,
            Flaw::Owner(_) => Some(format!("chown -h {} {path}", runner())),
            Flaw::Writable(_) => Some(format!("chmod go-w {path}")),
            Flaw::Readable(_) => Some(format!("chmod 600 {path}")),
            Flaw::DirectoryOf(_) | Flaw::Link | Flaw::Not(_) => None,
        }
    }
}

/// The path as a POSIX shell reads it: in single quotes where it needs any.
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.flaw {
            Flaw::Link => write!(f, "{path} is a link"),
            Flaw::Not(kind) => write!(f, "{path} is not a {kind}"),
            Flaw::Owner(owner) | Flaw::DirectoryOf(owner) => {
                write!(f, "{path} belongs to {}", shown_user(owner))
            }
            Flaw::Writable(mode) => write!(f, "{path} can be written by others (mode {mode:04o})"),
            Flaw::Readable(mode) => write!(f, "{path} can be read by others (mode {mode:04o})"),
        }?;
        match &self.link {
            Some(link) => write!(f, ", and the link {} is in it", link.display()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Untrusted {}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        Self::other(untrusted)
    }
}
