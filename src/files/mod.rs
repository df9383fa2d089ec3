//! Finds, checks, creates and removes files in directories where other users may interfere.
//!
//! A path is walked one name at a time from an open directory, so that the entry that was checked is the entry that is used. A link is followed only if no other
//! user can have made it. Later steps use the open directory. New entries first have a private name (see `made`). SQLite opens files by their path, so it is
//! used only in the data directory and in private directories.

mod directory;
mod made;
mod secret;
mod shell;
mod trust;
mod untrusted;
mod users;
mod walk;

pub use directory::Directory;
pub use made::{NewFile, PrivateDirectory, rename_to_free_name};
pub use secret::read_secret;
pub use shell::quoted;
pub use trust::{is_trusted, secret_flaw};
pub use untrusted::{Flaw, Untrusted};
pub use users::{chown_argument, run_as, runner, shown_user};
pub use walk::{open_file, open_trusted, read_trusted};
