//! The signing keys of a database: made when there are none, unsealed when the program starts.

use std::time::Duration;

use super::Error;
use crate::crypto::{AccessTokenSettings, Keyring, Keys, SealedFor, SigningKey};
use crate::domain::SignatureAlgorithm;
use crate::store::{Store, StoredSigningKey};
use crate::system::System;

/// How much longer than its last token a retired key stays published: for clocks that differ.
const SLACK: Duration = Duration::from_hours(1);

/// Unseals the signing keys of the database, the one that signs first. If none of them signs with `algorithm`, a new one is made and the others
/// stop signing; they stay published until their last token has expired.
pub async fn load_keyring(
    store: &Store,
    keys: &Keys,
    algorithm: SignatureAlgorithm,
    settings: AccessTokenSettings,
    system: &System,
) -> Result<Keyring, Error> {
    let now = system.now();
    let forget_before = now - settings.ttl - SLACK;
    let mut stored = store
        .read(|reader| reader.list_signing_keys().map_err(Error::from))
        .await?;
    let signs = |key: &StoredSigningKey| key.retired_at.is_none() && key.algorithm == algorithm.as_str();
    let is_forgotten = |key: &StoredSigningKey| {
        key.retired_at
            .is_some_and(|retired_at| retired_at < forget_before)
    };
    let added = if stored.iter().any(signs) {
        None
    } else {
        Some(new_key(keys, algorithm, system)?)
    };
    if added.is_some() || stored.iter().any(is_forgotten) {
        let row = added.clone();
        store
            .write(move |tx| {
                if let Some(row) = row {
                    tx.insert_signing_key(&row)?;
                    tx.retire_other_signing_keys(&row.kid, now)?;
                }
                tx.delete_signing_keys_retired_before(forget_before)?;
                Ok::<_, Error>(())
            })
            .await?;
    }
    stored.retain(|key| !is_forgotten(key));
    stored.extend(added);
    stored.sort_by_key(|key| !signs(key));
    let unsealed: Result<Vec<SigningKey>, Error> = stored.iter().map(|key| unseal(keys, key)).collect();
    Ok(Keyring::new(unsealed?, settings))
}

fn new_key(keys: &Keys, algorithm: SignatureAlgorithm, system: &System) -> Result<StoredSigningKey, Error> {
    let (key, pkcs8) = SigningKey::generate(algorithm, system).map_err(Error::internal)?;
    let now = system.now();
    Ok(StoredSigningKey {
        kid: key.kid().to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        sealed_private: keys.seal(SealedFor::SigningKey(key.kid()), &pkcs8, system),
        created_at: now,
        active_at: now,
        retired_at: None,
    })
}

pub(super) fn unseal(keys: &Keys, stored: &StoredSigningKey) -> Result<SigningKey, Error> {
    let pkcs8 = keys
        .open(SealedFor::SigningKey(&stored.kid), &stored.sealed_private)
        .map_err(Error::internal)?;
    let algorithm = SignatureAlgorithm::from_name(&stored.algorithm)
        .ok_or_else(|| Error::internal("a stored signing key has an unknown algorithm"))?;
    SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(Error::internal)
}
