//! Parts of long lists.

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging<C> {
    /// The row behind which it begins; `None` for the first of the list.
    pub after: Option<C>,
    /// The most rows.
    pub limit: u32,
}

impl<C> Default for Paging<C> {
    /// The whole list.
    fn default() -> Self {
        Self {
            after: None,
            limit: u32::MAX,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows, in the order of the list.
    pub rows: Vec<T>,
    /// How many rows of the list follow them.
    pub more: u32,
}

impl<T> Page<T> {
    /// The same part with its rows read in another way.
    pub fn try_map<U, E>(self, read: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            rows: self.rows.into_iter().map(read).collect::<Result<_, _>>()?,
            more: self.more,
        })
    }
}
