//! Why a configuration was refused, and where its keys were given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::is_unprintable;

/// Where a key was given.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
pub(super) enum Location {
    /// The path is absolute; lines count from 1.
    #[display("{}, line {line}", path.display())]
    File { path: PathBuf, line: usize },
    #[display("variable {_0}")]
    Variable(String),
    #[display("flag {_0}")]
    Flag(&'static str),
}

/// The location of each key that was given.
pub(super) type Locations = BTreeMap<String, Location>;

/// A refused configuration. Neither the problem nor the hint repeats a value, which could be a misplaced secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ConfigError {
    problem: String,
    /// How to fix it.
    pub hint: String,
}

impl ConfigError {
    /// A refusal for `problem`; `hint` says how to fix it. Names of keys and files may have unprintable characters; these are replaced, so that problem and
    /// hint are one line each.
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        let in_one_line = |text: String| text.replace(is_unprintable, "\u{fffd}");
        Self {
            problem: in_one_line(problem.into()),
            hint: in_one_line(hint.into()),
        }
    }
}
