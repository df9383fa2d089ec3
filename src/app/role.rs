//! The roles in which a process opens the database.

/// What a process does with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves. It creates or migrates the database, and only one such process may run.
    Server,
    /// It only creates or migrates.
    Init,
    /// As [`Role::Init`]; it also creates a database for a key file that already exists.
    InitForKey,
    /// It runs one command on an existing database.
    Command,
    /// It inspects an existing database, and creates, changes or removes no file.
    Check,
}
