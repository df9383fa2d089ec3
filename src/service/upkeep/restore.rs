//! What ends when a database is restored or its key file is replaced.

use std::sync::Arc;

use crate::crypto::Keys;
use crate::domain::{AuditEvent, AuditRecord, Operator, SessionEnd, SignatureAlgorithm};
use crate::service::rules::signing_key::replace_all_keys;
use crate::service::{AlgorithmChange, Error};
use crate::store::{Setting, Store, Tx};
use crate::system::System;

/// How many sessions one write ends.
const CHUNK: u32 = 10_000;

/// How much of a database was live and has been ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub sessions: u64,
    pub invites: usize,
    /// `None` if the new signing key has the algorithm of the old one.
    pub algorithm: Option<AlgorithmChange>,
}

/// Ends everything that is live in a copy of a backup, before the copy becomes the database. Any of it may have been used, ended or revoked since the
/// backup was made:
///
/// - Sessions end: one may have been revoked because its refresh token was stolen.
/// - Codes, links and queued mail are deleted: they may have been used or sent. The counts of wrong codes, wrong passwords and mails are out of date, and are
///   deleted too.
/// - Every usable invite is revoked: it may have been used up.
/// - The audit log of the backup stays, and a new entry says who restored the backup.
/// - The signing keys are replaced by a new one: an old one may have been dropped because it was stolen. The new key has the algorithm `wanted`; `None`
///   keeps the algorithm.
/// - The former addresses of accounts stay: a thief's address that the owner leaves would get an undo otherwise.
pub async fn end_live_state(
    store: &Store,
    keys: Arc<Keys>,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
    operator: &Operator,
) -> Result<Ended, Error> {
    let (now, system) = (system.now(), system.clone());
    let (mut after, mut sessions) = (None, 0);
    loop {
        let some = store.write(move |tx| tx.end_some_sessions(after, CHUNK, SessionEnd::Restored, now));
        match some.await? {
            Some((last, ended)) => (after, sessions) = (Some(last), sessions + ended),
            None => break,
        }
    }
    let record = AuditRecord::by_operator(AuditEvent::BackupRestored, operator);
    let ended = store.write(move |tx| {
        tx.put_setting(Setting::BackupTakenAt, None, now)?;
        end_all_but_sessions(tx, &keys, wanted, &system, record)
    });
    let ended = ended.await?;
    Ok(Ended { sessions, ..ended })
}

/// Replaces the signing keys, revokes the invites, deletes codes, counts of wrong passwords, links and queued mail, and writes `record`.
pub(super) fn end_all_but_sessions(
    tx: &Tx<'_>,
    keys: &Keys,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
    mut record: AuditRecord,
) -> Result<Ended, Error> {
    let now = system.now();
    let algorithm = replace_all_keys(tx, keys, wanted, system)?;
    record.detail = algorithm.map(|change| change.to_string());
    tx.insert_audit(&record, now)?;
    tx.delete_codes_and_failures()?;
    tx.delete_links_and_mail()?;
    Ok(Ended {
        sessions: 0,
        invites: tx.revoke_all_invites(now)?,
        algorithm,
    })
}
