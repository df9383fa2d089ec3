//! Why a file or directory is not trusted, and how to fix it.

use std::io;
use std::path::{Path, PathBuf};

use super::shell::quoted;
use super::users::{runner, shown_user};

/// What is wrong with an entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, derive_more::Display)]
pub enum Flaw {
    /// It is a link where links are not followed.
    #[display("is a link")]
    Link,
    /// It is not an entry of this kind.
    #[display("is not a {_0}")]
    Not(&'static str),
    /// It belongs to another user, who has this id.
    #[display("belongs to {}", shown_user(*_0))]
    Owner(u32),
    /// It is a directory of another user, who has this id and may have created any entry in it.
    #[display("belongs to {}", shown_user(*_0))]
    DirectoryOf(u32),
    /// Users other than its owner can write to it, because it has these permission bits.
    #[display("can be written by others (mode {_0:04o})")]
    Writable(u32),
    /// It is a secret that users other than its owner can read or change, because it has these permission bits.
    #[display("can be read by others (mode {_0:04o})")]
    Readable(u32),
}

/// A file or directory that is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {flaw}{}", path.display(), link.as_deref().map(in_it).unwrap_or_default())]
pub struct Untrusted {
    path: PathBuf,
    flaw: Flaw,
    /// The link in the directory `path` that was to be followed.
    link: Option<PathBuf>,
}

fn in_it(link: &Path) -> String {
    format!(", and the link {} is in it", link.display())
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

    /// The owner of a directory that is refused because of its owner.
    pub fn directory_owner(&self) -> Option<u32> {
        match self.flaw {
            Flaw::DirectoryOf(owner) => Some(owner),
            _ => None,
        }
    }

    /// A command that fixes the flaw, for an operator who trusts the owner; `None` if there is no such command.
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

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        Self::other(untrusted)
    }
}
