//! The roles in which a process opens the database.

/// What a process does with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Creates or migrates the database, and serves requests. Only one such process may run.
    Server,
    /// Only creates or migrates the database.
    Init,
    /// As [`Role::Init`]; also creates a database for a key file that already exists.
    InitForKey,
    /// Runs one command on an existing database.
    Command,
    /// Inspects an existing database, and creates, changes or removes no file.
    Check,
}
