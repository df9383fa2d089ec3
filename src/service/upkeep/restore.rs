//! What a restored database must not bring back to life.

use std::sync::Arc;

use crate::crypto::Keys;
use crate::domain::{AuditEvent, AuditRecord, Operator, SessionEnd, SignatureAlgorithm};
use crate::service::signing_key::replace_all;
use crate::service::{AlgorithmChange, Error};
use crate::store::{Setting, Store};
use crate::system::System;

/// How many sessions one write ends.
const CHUNK: u32 = 10_000;

/// What was live in a database, and is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that were ended.
    pub sessions: u64,
    /// Invites that were taken back.
    pub invites: usize,
    /// How the algorithm of access tokens changed with the signing key; `None` if it is the same.
    pub algorithm: Option<AlgorithmChange>,
}

/// Ends everything in a copy of an older database that may have been used, ended or forbidden since it was made, before the copy becomes the database.
///
/// - Sessions end: one may have been revoked since, and its refresh token may be in other hands.
/// - Codes, links and queued mail go: they may have been used or sent. So do the counts of tries, wrong passwords and mails, which are of another time.
/// - Every invite that would still admit somebody is taken back: it may have admitted its last one since.
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
        let some = store.write(move |tx| {
            let some = tx.end_some_sessions(after, CHUNK, SessionEnd::Restored, now);
            some.map_err(Error::from)
        });
        match some.await? {
            Some((last, ended)) => (after, sessions) = (Some(last), sessions + ended),
            None => break,
        }
    }
    let mut record = AuditRecord::by_operator(AuditEvent::BackupRestored, operator);
    let ended = store.write(move |tx| {
        let algorithm = replace_all(tx, &keys, wanted, &system)?;
        record.detail = algorithm.map(|change| change.to_string());
        tx.insert_audit(&record, now)?;
        tx.delete_all_codes()?;
        tx.delete_all_failures()?;
        tx.delete_all_links()?;
        tx.delete_all_mail()?;
        tx.put_setting(Setting::BackupTakenAt, None, now)?;
        let invites = tx.revoke_all_invites(now)?;
        Ok::<_, Error>(Ended {
            sessions,
            invites,
            algorithm,
        })
    });
    ended.await
}
