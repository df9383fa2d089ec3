//! Filters and cursors for the rows and the counts of the audit log.

use std::net::IpAddr;

use super::Result;
use super::columns::address_text;
use super::engine::Row;
use super::value::ToValue;
use crate::domain::{AuditEvents, AuditSubject, NameDigest, Timestamp, UserId};

/// A filter of the audit log. A field that is `None` admits every row.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub user_id: Option<UserId>,
    /// Rows about accounts that had this username, in lower case, at the time.
    pub username_key: Option<String>,
    /// Rows with this name or address, and rows about accounts that had it.
    pub name: Option<NameDigest>,
    /// Rows from the first of these, an address, or from the second, its network.
    pub addresses: Option<[IpAddr; 2]>,
    pub events: Option<AuditEvents>,
    /// Rows from this time or later.
    pub since: Option<Timestamp>,
    /// Rows after the one with this id. The page then has the first rows that match; without it, the last ones.
    pub after: Option<i64>,
    /// Rows before the one with this id.
    pub before: Option<i64>,
    /// Counts that changed after this cursor.
    pub counts_after: Option<AuditCursor>,
}

/// The values of the parameters that the statements for rows and for counts share, in the order of their numbers.
pub(super) struct FilterValues<'a> {
    user_id: Option<UserId>,
    username_key: Option<&'a str>,
    name: Option<NameDigest>,
    address: Option<String>,
    network: Option<String>,
    event: Option<&'a str>,
    since: Timestamp,
}

impl FilterValues<'_> {
    /// These values, and after them the values of further parameters.
    pub(super) fn and<'v>(&'v self, further: &[&'v dyn ToValue]) -> Vec<&'v dyn ToValue> {
        let mut values: Vec<&dyn ToValue> = vec![
            &self.user_id,
            &self.username_key,
            &self.name,
            &self.address,
            &self.network,
            &self.event,
            &self.since,
        ];
        values.extend(further);
        values
    }
}

impl AuditFilter {
    /// Whether only rows about one account or name match.
    pub fn is_about_one(&self) -> bool {
        self.user_id.is_some() || self.username_key.is_some() || self.name.is_some()
    }

    pub(super) fn values(&self) -> FilterValues<'_> {
        let [address, network] = match self.addresses {
            Some(addresses) => addresses.map(|address| address_text(Some(address))),
            None => [None, None],
        };
        FilterValues {
            user_id: self.user_id,
            username_key: self.username_key.as_deref(),
            name: self.name,
            address,
            network,
            event: self.events.as_ref().map(AuditEvents::as_str),
            since: self.since.unwrap_or(Timestamp::from_millis(i64::MIN)),
        }
    }
}

/// The position up to which the log and its counts were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCursor {
    /// The id of the last row; 0 if there was none.
    pub row: i64,
    /// The number of the last count of a name.
    pub(super) names: i64,
    /// The number of the last count of an account.
    pub(super) accounts: i64,
}

impl AuditCursor {
    /// The cursor to continue from; `end` is the cursor after the last count. The numbers of counts begin again after all counts were removed, so a number
    /// greater than that of `end` is replaced by 0.
    #[must_use]
    pub fn or_start_before(self, end: Self) -> Self {
        let or_start = |number: i64, end: i64| if number > end { 0 } else { number };
        Self {
            names: or_start(self.names, end.names),
            accounts: or_start(self.accounts, end.accounts),
            ..self
        }
    }
}

/// The accounts that a filter is about, and NULL if it names none by its id. A renamed or deleted account is found by its old names: rows about it contain its username, and some the digest
/// of its address.
pub(super) const AUDITED_ACCOUNTS: &str = "
            WITH wanted (user_id) AS (
                SELECT ?1
                UNION SELECT user_id FROM audit_events WHERE user_id IS NOT NULL AND lower(username) = ?2
                UNION SELECT user_id FROM audit_events WHERE user_id IS NOT NULL AND name_digest = ?3
                UNION SELECT subject FROM audit_counts WHERE is_account = 1 AND lower(username) = ?2
            ),";

/// The account with this id, and the username that it had.
pub(super) fn subject_of(user_id: Option<UserId>, row: &Row<'_>) -> Result<Option<AuditSubject>> {
    let username: Option<String> = row.get("username")?;
    Ok(user_id.map(|user_id| AuditSubject {
        user_id,
        username: username.unwrap_or_default(),
    }))
}
