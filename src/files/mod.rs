//! Files and directories that other users may interfere with: how they are found, judged, made and removed.
//!
//! A path is walked one name at a time from an open directory, so that the entry that was judged is the one that is used, and a link is followed only where
//! another user cannot have put it. Later steps go through the open directory. New entries have a private name first (see `made`). SQLite opens its files by
//! path, and therefore only in the data directory.

mod directory;
mod made;
mod shell;
mod trust;
mod untrusted;
mod users;
mod walk;

pub use directory::Directory;
pub use made::{NewFile, PrivateDirectory, rename_to_free_name};
pub use shell::quoted;
pub use trust::{is_trusted, secret_flaw};
pub use untrusted::{Flaw, Untrusted};
pub use users::{chown_argument, run_as, runner, shown_user};
pub use walk::{open_file, open_trusted, read_trusted};
