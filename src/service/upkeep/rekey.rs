//! Replaces the key file that a database belongs to.

use std::sync::Arc;

use super::restore::{Ended, delete_what_proves};
use crate::crypto::{Keys, SealedFor};
use crate::domain::{
    AuditEvent, AuditRecord, InviteCode, Operator, SessionEnd, SignatureAlgorithm, Timestamp,
};
use crate::service::Error;
use crate::service::rules::signing_key::replace_all_keys;
use crate::store::{Setting, Store, Tx};
use crate::system::System;

/// Earlier than any expiry, so that nothing counts as expired.
const BEFORE_ANY_EXPIRY: Timestamp = Timestamp::from_millis(i64::MIN);

/// Seals everything again that `old` has sealed, in one transaction. The database then belongs to `new`.
///
/// What was derived from the old key and cannot be derived again ends: sessions, whose refresh tokens it authenticated, one-time codes with their
/// counts, and counts of wrong passwords. Invites, links, queued mail and signing keys stay usable.
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
        for (invite, sealed) in tx.list_all_invites()? {
            let purpose = SealedFor::Invite(invite.id.as_bytes());
            let opened = old.open(purpose, &sealed).map_err(Error::internal)?;
            let code = std::str::from_utf8(&opened)
                .ok()
                .and_then(|code| InviteCode::parse(code).ok());
            let code = code.ok_or_else(|| Error::internal("a sealed invite code is no code"))?;
            let sealed = new.seal(purpose, &opened, &system);
            tx.replace_invite_code(invite.id, new.invite_digest(&code), &sealed)?;
        }
        for key in tx.list_signing_keys()? {
            let purpose = SealedFor::SigningKey(&key.kid);
            let opened = old.open(purpose, &key.sealed_private).map_err(Error::internal)?;
            tx.reseal_signing_key(&key.kid, &new.seal(purpose, &opened, &system))?;
        }
        for mail in tx.list_outbox(BEFORE_ANY_EXPIRY)? {
            let purpose = SealedFor::Mail(mail.id.as_bytes());
            let opened = old.open(purpose, &mail.sealed).map_err(Error::internal)?;
            tx.reseal_mail(mail.id, &new.seal(purpose, &opened, &system))?;
        }
        tx.delete_all_codes()?;
        tx.delete_all_failures()?;
        let sessions = end_sessions(tx, now)?;
        tx.put_setting(Setting::KeyCheck, Some(&new.check().to_text()), now)?;
        Ok(Ended {
            sessions,
            invites: 0,
            algorithm: None,
        })
    });
    sealed.await
}

/// Lets the database go on with `new` after its key file was lost, in one transaction.
///
/// Everything that only the lost key could open or prove ends: sessions, codes, invites, links, queued mail and signing keys. A new signing key
/// takes their place, of the algorithm that is `wanted` or else of the same one. Accounts stay, with their passwords. An invite gets a new code that
/// is never shown, so that the list of invites can still be read.
pub async fn go_on_without_key(
    store: &Store,
    new: Arc<Keys>,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
    operator: &Operator,
) -> Result<Ended, Error> {
    let (now, system) = (system.now(), system.clone());
    let mut record = AuditRecord::by_operator(AuditEvent::KeyFileReset, operator);
    let gone_on = store.write(move |tx| {
        let algorithm = replace_all_keys(tx, &new, wanted, &system)?;
        record.detail = algorithm.map(|change| change.to_string());
        tx.insert_audit(&record, now)?;
        let invites = tx.revoke_all_invites(now)?;
        for (invite, _) in tx.list_all_invites()? {
            let code = InviteCode::from_random(system.random());
            let sealed = new.seal(SealedFor::Invite(invite.id.as_bytes()), code.as_bytes(), &system);
            tx.replace_invite_code(invite.id, new.invite_digest(&code), &sealed)?;
        }
        delete_what_proves(tx)?;
        let sessions = end_sessions(tx, now)?;
        tx.put_setting(Setting::KeyCheck, Some(&new.check().to_text()), now)?;
        Ok::<_, Error>(Ended {
            sessions,
            invites,
            algorithm,
        })
    });
    gone_on.await
}

/// All in one write: no other process has the database open, so that none waits behind it.
fn end_sessions(tx: &Tx<'_>, now: Timestamp) -> Result<u64, Error> {
    let ended = tx.end_some_sessions(None, u32::MAX, SessionEnd::KeyReplaced, now)?;
    Ok(ended.map_or(0, |(_, ended)| ended))
}
