//! Deleting and exporting the caller's account.

use std::time::Duration;

use super::presence::Presence;
use super::rules::{Caller, Unit, parse_cookies};
use super::{Error, Service};
use crate::domain::{
    Actor, AuditEntry, AuditEvent, AuditReason, AuditRecord, Client, Letter, Session, SessionId, Timestamp,
    User,
};
use crate::store::StoreError;

/// The maximum number of audit rows in an export: years of an account that signs in every day, about a megabyte.
const MAX_EVENTS: u32 = 5_000;

/// What a client is to do with its refresh cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieFate {
    Clear,
    /// It belongs to another account.
    Keep,
}

/// An account, its live sessions and its events in the audit log, as far as its owner is told.
#[derive(Clone, Debug)]
pub struct AccountExport {
    pub exported_at: Timestamp,
    pub user: User,
    /// The live sessions, as [`Service::list_own_sessions`] shows them.
    pub sessions: Vec<Session>,
    /// The newest events at the account, the oldest of them first.
    pub events: Vec<OwnEvent>,
    /// How many older events the log has.
    pub left_out: u32,
}

/// A row of the audit log as the owner of the account sees it: without the reason of a refusal, which the API does not tell either, and without the name and
/// the command of an operator.
#[derive(Clone, Debug)]
pub struct OwnEvent {
    /// The start of the day for refreshes: the exact time would tell a thief when an old refresh token is answered, as in [`Session::as_shown_to`].
    pub at: Timestamp,
    pub event: AuditEvent,
    pub is_refused: bool,
    /// `None` if the operator caused it.
    pub client: Option<Client>,
    pub session_id: Option<SessionId>,
    /// How many events the row counts.
    pub times: u64,
}

impl From<AuditEntry> for OwnEvent {
    fn from(entry: AuditEntry) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        let AuditEntry {
            at, record, times, ..
        } = entry;
        Self {
            at: if is_refresh(record.event) {
                at.start_of(DAY)
            } else {
                at
            },
            event: record.event,
            is_refused: is_refusal(&record),
            client: match record.actor {
                Actor::Client(client) => Some(client),
                Actor::Operator(_) => None,
            },
            session_id: record.session_id,
            times,
        }
    }
}

/// Whether the owner is told of a refusal. A request to move the account to an address that is taken was answered as if the address were free.
fn is_refusal(record: &AuditRecord) -> bool {
    let is_of_taken_address =
        record.event == AuditEvent::EmailChangeRequested && record.refused == Some(AuditReason::EmailTaken);
    record.refused.is_some() && !is_of_taken_address
}

const fn is_refresh(event: AuditEvent) -> bool {
    matches!(
        event,
        AuditEvent::RefreshReused
            | AuditEvent::RefreshAhead
            | AuditEvent::RefreshRepeated
            | AuditEvent::RefreshRefused
    )
}

impl Service {
    /// Deletes the caller's account with its sessions, links and codes, and tells its owner by mail, also at each former address that could be taken back: a
    /// thief may have moved the account. The names are free at once; the audit log keeps the id, and a used invite stays used. `cookies` are the refresh
    /// cookies of the request.
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
            let former = former_owners(unit, &user)?;
            unit.delete_user(user.id)?;
            let username = user.username.to_string();
            let letter = Letter::AccountDeleted { username };
            unit.mail_notice(&letter, &user)?;
            for owner in former {
                unit.queue_mail(&letter, &owner)?;
            }
            Ok(if may_clear {
                CookieFate::Clear
            } else {
                CookieFate::Keep
            })
        })
        .await
    }

    /// Gathers the caller's account, its live sessions and its events in the audit log.
    ///
    /// # Errors
    /// Those of [`Service::prove_presence`], if the password has changed since.
    pub async fn export_own_account(
        &self,
        caller: &Caller,
        presence: Presence,
    ) -> Result<AccountExport, Error> {
        let sessions = self.list_own_sessions(caller).await?;
        let user_id = caller.user.id;
        let events = self
            .store
            .report(move |reader| Ok::<_, Error>(reader.list_audit_of_account(user_id, MAX_EVENTS)?));
        let (rows, left_out) = events.await?;
        let mut events: Vec<OwnEvent> = rows.into_iter().map(OwnEvent::from).collect();
        // Sorted by the times that are shown, because an order by the exact times would reveal more.
        events.sort_by_key(|event| event.at);
        let (record, caller) = (caller.record(AuditEvent::AccountExported), caller.clone());
        // The row of the export comes last: it is written only if session and account are still alive after everything was read.
        let user = self.change_audited(record, move |unit, _| {
            let (_, user) = unit.find_alive(&caller)?;
            presence.still_holds(unit, &user)?;
            Ok(user)
        });
        Ok(AccountExport {
            user: user.await?,
            exported_at: self.system.now(),
            sessions,
            events,
            left_out,
        })
    }
}

/// The account as it was at each former address that can be taken back, to mail it there. All these addresses were verified.
fn former_owners(unit: &Unit<'_>, user: &User) -> Result<Vec<User>, StoreError> {
    let mut keys = vec![user.email.key()];
    let mut owners = Vec::new();
    for undo in unit.list_email_undos(user.id, unit.now)? {
        let key = undo.email.key();
        if !keys.contains(&key) {
            keys.push(key);
            owners.push(User {
                email: undo.email,
                ..user.clone()
            });
        }
    }
    Ok(owners)
}
