//! Lets tests observe the statements and make the writer fail. Outside of tests there are no hooks.

/// The functions that a test passes to a store on PostgreSQL.
#[doc(hidden)]
pub trait PostgresHooks: Send + Sync {
    /// Called with each statement before it runs.
    fn runs(&self, sql: &str);

    /// Whether a transaction may be committed. It waits as long as this does.
    fn may_commit(&self) -> bool;
}
