//! Why a configuration was refused, and where its keys were given.

use std::fmt;
use std::path::PathBuf;

use crate::domain::is_unprintable;

/// Where a key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file, absolute.
        path: PathBuf,
        /// The line of the key, counted from 1.
        line: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In a flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A refused configuration. Neither the sentence nor the hint ever repeats a value, which could be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ConfigError {
    problem: String,
    hint: String,
}

impl ConfigError {
    /// A refusal for `problem`, mended as `hint` says. Both are one line each, whatever the names of keys and files in them hold.
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        let in_one_line = |text: String| text.replace(is_unprintable, "\u{fffd}");
        Self {
            problem: in_one_line(problem.into()),
            hint: in_one_line(hint.into()),
        }
    }

    /// The value of `key` at `place` has not the accepted `form`.
    pub(super) fn bad_value(key: &str, place: &Place, form: &str) -> Self {
        Self::new(
            format!("the value of {key} is not acceptable ({place})"),
            format!("it must be {form}"),
        )
    }

    /// `key` at `place` asks for something that a later release brings.
    pub(super) fn not_in_this_release(key: &str, place: &Place) -> Self {
        Self::new(
            format!("{key} is not in this release ({place})"),
            "it would be silently without effect: take it out until a release says that it has come",
        )
    }

    /// How to mend it.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
