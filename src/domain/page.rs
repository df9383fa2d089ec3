//! Pages of long lists.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging<C> {
    /// The row before the first row of the page; `None` for the beginning of the list.
    pub after: Option<C>,
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// How many rows of the list follow the page.
    pub more: u32,
}

impl<T> Page<T> {
    pub fn try_map<U, E>(self, read: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            rows: self.rows.into_iter().map(read).collect::<Result<_, _>>()?,
            more: self.more,
        })
    }
}
