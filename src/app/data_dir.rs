//! The data directory: which user must own its files, and whether other users can write there.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::Config;
use crate::files::{Directory, Flaw, runner};

/// The user and group that the files of the data directory must belong to.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
    /// Whether this is certainly the right owner: `false` if another user could have created the file or directory that it was read from.
    pub(super) is_certain: bool,
}

impl Owner {
    /// The owner of the data directory. If root owns the directory, as on a container volume, the owner is that of the
    /// database, or the running user if there is no database. In a directory where all users can create files, another user may have created the database.
    pub(super) fn of(config: &Config, directory: &Metadata) -> Self {
        let is_world_writable = directory.mode() & 0o002 != 0;
        let of = |found: &Metadata| Self {
            user: found.uid(),
            group: found.gid(),
            is_certain: !is_world_writable || found.uid() == runner(),
        };
        if directory.uid() != 0 {
            return of(directory);
        }
        let database = config.database_path().symlink_metadata();
        database.map_or_else(
            |_| Self {
                user: runner(),
                group: rustix::process::getegid().as_raw(),
                is_certain: true,
            },
            |found| of(&found),
        )
    }

    pub(super) fn is_runner(self) -> bool {
        self.user == runner()
    }
}

/// A warning about a data directory in which users other than root and the running one can create or rename files; `None` if they cannot, if another
/// user owns the directory, or if it cannot be examined.
pub(super) fn warning_if_open(directory: &Path) -> Option<String> {
    match Directory::open(directory).and_then(|opened| opened.flaw()) {
        Ok(Some(Flaw::Writable(mode))) => Some(format!(
            "{} can be written by others (mode {mode:04o}), who can replace the database there",
            directory.display()
        )),
        _ => None,
    }
}
