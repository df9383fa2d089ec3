//! The signing keys in the database: which one signs, and how they are made, opened and replaced.

use std::time::Duration;

use crate::crypto::{AccessTokenSettings, Keys, SealedFor, SigningKey};
use crate::domain::{SignatureAlgorithm, Timestamp};
use crate::service::error::Error;
use crate::store::{Store, StoredSigningKey, Tx};
use crate::system::System;

/// How much longer than its last token a retired key stays published, because clocks differ.
const SLACK: Duration = Duration::from_hours(1);

/// A change of the algorithm with which tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, derive_more::Display)]
#[display("algorithm changed from {} to {}", from.into_str(), to.into_str())]
pub struct AlgorithmChange {
    pub from: SignatureAlgorithm,
    pub to: SignatureAlgorithm,
}

impl AlgorithmChange {
    pub(crate) fn between(from: SignatureAlgorithm, to: SignatureAlgorithm) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

/// How long a key stays published after it has stopped signing.
pub(crate) fn published_for(settings: &AccessTokenSettings) -> Duration {
    settings.ttl + SLACK
}

/// Every key: those without a successor first, then the others, each group by `active_at` with the latest first.
pub(crate) async fn list_keys(store: &Store) -> Result<Vec<StoredSigningKey>, Error> {
    let mut stored = store.read(|reader| reader.list_signing_keys()).await?;
    stored.sort_by_key(|key| key.retired_at.is_some());
    Ok(stored)
}

/// The key that signs at `now`. If the clock was set back and no key signs, it is the first one.
pub(crate) fn signer(stored: &[StoredSigningKey], now: Timestamp) -> Option<&StoredSigningKey> {
    let signs = |key: &&StoredSigningKey| key.active_at <= now && key.retired_at.is_none_or(|end| now < end);
    let on_time = stored.iter().filter(signs);
    on_time.max_by_key(|key| key.active_at).or(stored.first())
}

/// Replaces all keys by a new one with the `wanted` algorithm; `None` keeps the algorithm of the key that signs. If there is no key either, none is
/// created, and the next start of a server chooses the algorithm.
pub(crate) fn replace_all_keys(
    tx: &Tx<'_>,
    keys: &Keys,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
) -> Result<Option<AlgorithmChange>, Error> {
    let now = system.now();
    let stored = tx.list_signing_keys()?;
    let present = signer(&stored, now).map(|key| key.algorithm);
    tx.delete_all_signing_keys()?;
    let Some(algorithm) = wanted.or(present) else {
        return Ok(None);
    };
    tx.insert_signing_key(&new_key(keys, algorithm, now, system)?)?;
    Ok(present.and_then(|from| AlgorithmChange::between(from, algorithm)))
}

/// A key that signs from `now` on.
pub(crate) fn new_key(
    keys: &Keys,
    algorithm: SignatureAlgorithm,
    now: Timestamp,
    system: &System,
) -> Result<StoredSigningKey, Error> {
    let (key, pkcs8) = SigningKey::generate(algorithm, system).map_err(Error::internal)?;
    Ok(StoredSigningKey {
        kid: key.kid.clone(),
        algorithm,
        sealed_private: keys.seal(SealedFor::SigningKey(&key.kid), &pkcs8, system),
        created_at: now,
        active_at: now,
        retired_at: None,
    })
}

/// Opens the private half of a stored key.
pub(crate) fn unseal(keys: &Keys, stored: &StoredSigningKey) -> Result<SigningKey, Error> {
    let pkcs8 = keys
        .open(SealedFor::SigningKey(&stored.kid), &stored.sealed_private)
        .map_err(Error::internal)?;
    SigningKey::from_pkcs8(stored.algorithm, &pkcs8).map_err(Error::internal)
}
