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

/// What was live in a database and has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub sessions: u64,
    pub invites: usize,
    /// `None` if the new signing key has the algorithm of the old one.
    pub algorithm: Option<AlgorithmChange>,
}

/// Ends everything in a copy of an older database that may have been used, ended or forbidden since it was made, before the copy becomes the database.
///
/// - Sessions end: one may have been revoked since, and its refresh token may be stolen.
/// - Codes, links and queued mail go: they may have been used or sent. So do the counts of tries, wrong passwords and mails, which are out of date.
/// - Every usable invite is revoked: it may be used up since.
/// - The audit log of the backup stays, and says who restored it.
/// - Signing keys go: a key that was dropped since, because it was stolen, would sign again. A new one takes their place, of the algorithm that is
///   `wanted` or else of the same one.
pub async fn end_what_was_live(
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
