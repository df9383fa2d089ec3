//! Limits on how often something may be asked for.

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of the client's address, whoever it is about.
    Address,
    /// That of an account, whoever asks.
    Account,
    /// That of the session whose access token came with the request.
    Session,
}

impl Limit {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Address, Self::Account, Self::Session];

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Session => "session",
        }
    }
}
