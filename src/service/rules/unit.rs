//! The unit of work: one transaction with its time and its actor, and the parts that rules need besides the rows.

use std::cell::Cell;
use std::ops::Deref;

use tokio::sync::Notify;

use super::audit::SharedCounts;
use super::{Links, RuleSettings};
use crate::crypto::{Keys, RefreshTokens};
use crate::domain::{Actor, MailTransport, QueuedMail, Timestamp};
use crate::mail::Composer;
use crate::store::{StoreError, Tx};
use crate::system::System;

/// The parts that rules need besides the rows. All changes of a process share them.
pub(crate) struct Rules {
    pub(crate) keys: Keys,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) settings: RuleSettings,
    pub(crate) composer: Composer,
    pub(crate) links: Links,
    pub(crate) mail_transport: MailTransport,
    /// The counts in memory that are not yet in the audit log.
    pub(crate) pending: SharedCounts,
    pub(crate) system: System,
    /// Wakes the mail worker. Notified after the commit, because before it the worker would find nothing and sleep again.
    pub(crate) mail_queued: Notify,
}

/// One change: a transaction, to which it dereferences, and the parts that rules need besides it.
pub(crate) struct Unit<'tx> {
    pub(super) tx: &'tx Tx<'tx>,
    /// The time of the change. The clock is read once, so that a session and the audit row that says why it ended have the same time.
    pub(crate) now: Timestamp,
    pub(crate) actor: &'tx Actor,
    pub(crate) rules: &'tx Rules,
    has_queued_mail: Cell<bool>,
}

impl<'tx> Unit<'tx> {
    pub(crate) fn new(tx: &'tx Tx<'tx>, actor: &'tx Actor, rules: &'tx Rules) -> Self {
        Self {
            tx,
            now: rules.system.now(),
            actor,
            rules,
            has_queued_mail: Cell::new(false),
        }
    }

    /// Whether the mail worker is to be woken after the commit.
    pub(crate) fn has_queued_mail(&self) -> bool {
        self.has_queued_mail.get()
    }

    /// Puts a mail into the queue; the worker is woken after the commit.
    pub(crate) fn insert_mail(&self, mail: &QueuedMail) -> Result<(), StoreError> {
        self.has_queued_mail.set(true);
        self.tx.insert_mail(mail)
    }
}

impl<'tx> Deref for Unit<'tx> {
    type Target = Tx<'tx>;

    fn deref(&self) -> &Tx<'tx> {
        self.tx
    }
}
