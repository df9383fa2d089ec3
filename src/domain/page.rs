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
    pub more: More,
}

/// How many rows of a list follow a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct More {
    pub rows: u32,
    /// Whether there are more than `rows`.
    pub is_at_least: bool,
}

impl More {
    /// Where counting stops: far more than a person reads, and few enough that the count takes milliseconds in a list of millions.
    pub const MOST_COUNTED: u32 = 10_000;
    /// How many rows are looked for after a page: one more than are counted, which tells that there are more.
    pub const LOOKED_FOR: u32 = Self::MOST_COUNTED + 1;

    /// `found` rows follow the page, if so many were looked for as [`More::LOOKED_FOR`].
    pub fn of(found: u32) -> Self {
        Self {
            rows: found.min(Self::MOST_COUNTED),
            is_at_least: found > Self::MOST_COUNTED,
        }
    }
}

impl<T> Page<T> {
    pub fn try_map<U, E>(self, read: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            rows: self.rows.into_iter().map(read).collect::<Result<_, _>>()?,
            more: self.more,
        })
    }
}
