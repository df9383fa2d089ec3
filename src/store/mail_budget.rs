//! Mail budgets: when mail to a mailbox was requested.

use super::bounded::trim_without_account;
use super::columns::encode_times;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{AddressDigest, FailureKind, MailBudget, MailPurpose, Timestamp};

impl Reader<'_> {
    /// When mail for this purpose was last requested for a mailbox.
    pub fn find_mail_budget(&self, mailbox: AddressDigest, purpose: MailPurpose) -> Result<MailBudget> {
        let sql = "SELECT sends FROM mail_budgets WHERE address_digest = ?1 AND purpose = ?2";
        let budget = self.query_opt(sql, params![mailbox, purpose.into_str()], |row| row.take())?;
        Ok(budget.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Stores the budget of a mailbox after mail was requested. `kind` says whether an account has the address or asked for the mail. A budget that was once
    /// stored for an account keeps this kind. Of the budgets of addresses without an account, only the newest stay.
    pub fn put_mail_budget(
        &self,
        mailbox: AddressDigest,
        purpose: MailPurpose,
        kind: FailureKind,
        budget: &MailBudget,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO mail_budgets (address_digest, purpose, sends, last_sent_at, is_account, number)
             VALUES (?1, ?2, ?3, ?4, ?5, 1 + (SELECT coalesce(max(number), 0) FROM mail_budgets WHERE is_account = 0))
             ON CONFLICT (address_digest, purpose) DO UPDATE SET
                 sends = excluded.sends, last_sent_at = excluded.last_sent_at,
                 is_account = CASE WHEN mail_budgets.is_account = 1 THEN 1 ELSE excluded.is_account END, number = excluded.number";
        self.execute(
            sql,
            params![
                mailbox,
                purpose.into_str(),
                encode_times(budget.newest_first()),
                now,
                kind
            ],
        )?;
        trim_without_account(self, "mail_budgets", "address_digest, purpose", "is_account = 0")
    }
}
