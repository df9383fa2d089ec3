//! When mail was asked for, by mailbox.

use rusqlite::params;

use super::bounded::SURPLUS_AT_ONCE;
use super::{Reader, Result, Tx};
use crate::domain::{AddressDigest, FailureKind, MailBudget, MailPurpose, Timestamp};

/// A mail budget after a mail was asked for.
#[derive(Clone, Debug)]
pub struct SpentBudget {
    pub mailbox: AddressDigest,
    pub purpose: MailPurpose,
    /// Whether an account has the address.
    pub kind: FailureKind,
    /// What is left.
    pub budget: MailBudget,
}

impl Reader<'_> {
    /// When mail was asked for last.
    pub fn find_mail_budget(&self, address: AddressDigest, purpose: MailPurpose) -> Result<MailBudget> {
        let sql = "SELECT sends FROM mail_budgets WHERE address_digest = ?1 AND purpose = ?2";
        let budget = self.query_opt(sql, params![address, purpose.into_str()], |row| row.get(0))?;
        Ok(budget.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Notes when mail was asked for; a budget of an account stays one, whatever later spends of it. Of the budgets of addresses without an account only
    /// the `most` newest stay.
    pub fn put_mail_budget(&self, spent: &SpentBudget, now: Timestamp, most: u32) -> Result<()> {
        let sql = "INSERT INTO mail_budgets (address_digest, purpose, sends, last_sent_at, is_account, number)
             VALUES (?1, ?2, ?3, ?4, ?5, 1 + (SELECT coalesce(max(number), 0) FROM mail_budgets WHERE is_account = 0))
             ON CONFLICT (address_digest, purpose) DO UPDATE SET
                 sends = excluded.sends, last_sent_at = excluded.last_sent_at,
                 is_account = max(is_account, excluded.is_account), number = excluded.number";
        let values = params![
            spent.mailbox,
            spent.purpose.into_str(),
            spent.budget,
            now,
            spent.kind
        ];
        self.execute(sql, values)?;
        let sql = "DELETE FROM mail_budgets WHERE (address_digest, purpose) IN (
                 SELECT address_digest, purpose FROM mail_budgets
                 WHERE is_account = 0 AND number <= (SELECT max(number) FROM mail_budgets WHERE is_account = 0) - ?1
                 ORDER BY number LIMIT ?2)";
        self.execute(sql, params![most, SURPLUS_AT_ONCE])
    }
}
