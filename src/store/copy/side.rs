//! What a copy needs of each of its two databases. Each engine implements it in its own directory.

use super::table::{Cell, Table};
use crate::store::{OpenError, Reader, Result};

/// The counts that triggers keep, in the one table that is not copied but made from the rows of others.
pub(in crate::store) const DERIVED: &str = "password_costs";
/// Makes the rows of [`DERIVED`].
pub(in crate::store) const DERIVE: &str = "
    DELETE FROM password_costs;
    INSERT INTO password_costs (cost, accounts)
        SELECT password_cost, count(*) FROM users WHERE password_cost IS NOT NULL GROUP BY password_cost;
";

/// A database that is copied or that a copy is made into. No other process uses it meanwhile.
pub(in crate::store) trait Side {
    fn reader(&self) -> Reader<'_>;
}

/// A database that a copy is made into. No process opens it before [`Target::publish`].
pub(in crate::store) trait Target: Side {
    /// Removes all rows of these tables, of which each may refer to earlier ones.
    fn clear(&self, tables: &[Table]) -> Result<()>;

    /// Inserts rows in one transaction.
    fn insert(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<()>;

    /// Sets what follows from the rows: counts, and the numbers that new rows get.
    fn settle(&self, tables: &[Table]) -> Result<()>;

    /// Makes the database one that can be opened.
    fn publish(self: Box<Self>) -> Result<(), OpenError>;
}
