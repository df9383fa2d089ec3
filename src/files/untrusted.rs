//! Why a file or directory is not trusted, and how to mend it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::shell::quoted;
use super::users::{runner, shown_user};

/// What is wrong with an entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A link in a place where links are not followed.
    Link,
    /// Not an entry of this kind.
    Not(&'static str),
    /// It belongs to another user; the id.
    Owner(u32),
    /// A directory of another user, who may have made any entry in it; the id.
    DirectoryOf(u32),
    /// Users other than its owner can write to it; the permission bits.
    Writable(u32),
    /// A secret that users other than its owner can read or change; the permission bits.
    Readable(u32),
}

/// A file or directory that is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    path: PathBuf,
    flaw: Flaw,
    /// The link in the directory `path` that was to be followed.
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

    /// The [`Untrusted`] inside an error of this module; `None` for an error of the system.
    pub fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The owner of a directory that is refused because of its owner.
    pub fn directory_owner(&self) -> Option<u32> {
        match self.flaw {
            Flaw::DirectoryOf(owner) => Some(owner),
            _ => None,
        }
    }

    /// A command that mends the flaw, for an operator who trusts the owner; `None` if no command does.
    pub fn mend(&self) -> Option<String> {
        let path = quoted(&self.path);
        match self.flaw {
            // A new owner of the directory would not make its entries trustworthy.
            Flaw::Owner(_) if self.link.is_some() => None,
            Flaw::Owner(_) => Some(format!("chown -h {} {path}", runner())),
            Flaw::Writable(_) => Some(format!("chmod go-w {path}")),
            Flaw::Readable(_) => Some(format!("chmod 600 {path}")),
            Flaw::DirectoryOf(_) | Flaw::Link | Flaw::Not(_) => None,
        }
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
