//! Deleting one's own account.

use super::presence::Presence;
use super::rules::{Caller, parse_cookies};
use super::{Error, Service};
use crate::domain::{AuditEvent, Letter};

/// What a client is to do with its refresh cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieFate {
    Clear,
    /// It belongs to another account.
    Keep,
}

impl Service {
    /// Deletes the caller's account with its sessions, links and codes, and tells its owner by mail. The names are free at once; the audit log keeps the id,
    /// and a used invite stays used. `cookies` are the refresh cookies of the request.
    ///
    /// # Errors
    /// Those of [`Service::prove_presence`], if the password has changed since.
    pub async fn delete_own_account(
        &self,
        caller: &Caller,
        presence: Presence,
        cookies: &[String],
    ) -> Result<CookieFate, Error> {
        let (caller, cookies) = (caller.clone(), parse_cookies(cookies));
        let record = caller.record(AuditEvent::AccountDeleted);
        self.change_audited(record, move |unit, record| {
            let (_, user) = unit.find_alive(&caller)?;
            presence.still_holds(unit, &user)?;
            // The log is searched by the address after the account is gone.
            record.name = unit.rules.email_digest(&user.email);
            let may_clear = unit.may_replace_cookie(&cookies, user.id)?;
            unit.delete_user(user.id)?;
            if unit.is_notice_mailed(&user)? {
                let username = user.username.to_string();
                unit.queue_mail(&Letter::AccountDeleted { username }, &user)?;
            }
            Ok(if may_clear {
                CookieFate::Clear
            } else {
                CookieFate::Keep
            })
        })
        .await
    }
}
