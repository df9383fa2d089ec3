//! Work that one server does for all that share a database.

/// Work that one server at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Duty {
    /// Sending the mail of the outbox.
    Mail,
    /// Removing rows that are out of date.
    Sweep,
}
