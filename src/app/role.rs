//! The roles in which a process opens the database.

/// What a process does with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves: it creates and migrates, and there is only one.
    Server,
    /// It only creates or migrates.
    Init,
    /// As [`Role::Init`]; it also creates a database for a key file that already exists.
    InitForKey,
    /// It runs one command on an existing database.
    Command,
    /// It inspects an existing database, and makes, changes and removes no file.
    Check,
}
