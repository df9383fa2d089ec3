//! Replaces the key file that a database belongs to.

use std::sync::Arc;

use super::restore::{Ended, end_all_but_sessions};
use crate::crypto::{Keys, SealedFor};
use crate::domain::{
    AuditEvent, AuditRecord, InviteCode, InviteId, Operator, Sealed, SessionEnd, SignatureAlgorithm,
    Timestamp,
};
use crate::service::Error;
use crate::service::rules::{open_code, seal_code};
use crate::store::{Setting, Store, Tx};
use crate::system::System;

/// Earlier than any expiry, so that nothing counts as expired.
const BEFORE_ANY_EXPIRY: Timestamp = Timestamp::from_millis(i64::MIN);

/// Replaces `old` by `new` in one transaction: everything that is sealed with `old` is sealed with `new` instead. The database then belongs to `new`.
///
/// Everything that depends on the old key and cannot be derived again ends: sessions, because the key authenticated their refresh tokens, one-time codes
/// with their counts, mail budgets, and counts of wrong passwords. Invites, links, queued mail and signing keys stay usable.
pub async fn seal_anew(
    store: &Store,
    old: Arc<Keys>,
    new: Arc<Keys>,
    system: &System,
    operator: &Operator,
) -> Result<Ended, Error> {
    let (now, system) = (system.now(), system.clone());
    let record = AuditRecord::by_operator(AuditEvent::KeyFileReplaced, operator);
    let sealed = store.write(move |tx| {
        tx.insert_audit(&record, now)?;
        let reseal = |purpose: SealedFor<'_>, sealed: &Sealed| {
            let opened = old.open(purpose, sealed).map_err(Error::internal)?;
            Ok::<_, Error>(new.seal(purpose, &opened, &system))
        };
        for (invite, sealed) in tx.list_all_invites()? {
            let code = open_code(&old, invite.id, &sealed)?;
            put_code(tx, &new, invite.id, &code, &system)?;
        }
        for key in tx.list_signing_keys()? {
            let sealed = reseal(SealedFor::SigningKey(&key.kid), &key.sealed_private)?;
            tx.reseal_signing_key(&key.kid, &sealed)?;
        }
        for mail in tx.list_outbox(BEFORE_ANY_EXPIRY)? {
            let sealed = reseal(SealedFor::Mail(mail.id.as_bytes()), &mail.sealed)?;
            tx.reseal_mail(mail.id, &sealed)?;
        }
        tx.delete_codes_and_failures()?;
        take_over(tx, &new, Ended::default(), now)
    });
    sealed.await
}

/// Makes the database belong to `new` after its key file was lost, in one transaction.
///
/// Everything that only the lost key could open or prove ends: sessions, codes, invites, links, queued mail and signing keys. A new signing key with the
/// `wanted` algorithm replaces the old ones; `None` keeps the algorithm. Accounts stay, with their passwords. An invite gets a new code that is never
/// shown, so that the list of invites can still be read.
pub async fn replace_lost_key(
    store: &Store,
    new: Arc<Keys>,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
    operator: &Operator,
) -> Result<Ended, Error> {
    let (now, system) = (system.now(), system.clone());
    let record = AuditRecord::by_operator(AuditEvent::KeyFileReset, operator);
    let gone_on = store.write(move |tx| {
        let ended = end_all_but_sessions(tx, &new, wanted, &system, record)?;
        for (invite, _) in tx.list_all_invites()? {
            let code = InviteCode::from_random(system.random());
            put_code(tx, &new, invite.id, &code, &system)?;
        }
        take_over(tx, &new, ended, now)
    });
    gone_on.await
}

/// Stores the code of an invite under the new key.
fn put_code(tx: &Tx<'_>, new: &Keys, id: InviteId, code: &InviteCode, system: &System) -> Result<(), Error> {
    let sealed = seal_code(new, id, code, system);
    Ok(tx.replace_invite_code(id, new.invite_digest(code), &sealed)?)
}

/// Ends all sessions and ties the database to the new key. One write ends them all: no other process has the database open, so none has to wait.
fn take_over(tx: &Tx<'_>, new: &Keys, mut ended: Ended, now: Timestamp) -> Result<Ended, Error> {
    let sessions = tx.end_some_sessions(None, u32::MAX, SessionEnd::KeyReplaced, now)?;
    ended.sessions = sessions.map_or(0, |(_, ended)| ended);
    tx.put_setting(Setting::KeyCheck, Some(&new.check), now)?;
    Ok(ended)
}
