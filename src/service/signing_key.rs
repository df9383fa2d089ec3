//! The signing keys: made, replaced, retired, and picked up by the running server when a command has replaced one.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{Error, Service};
use crate::crypto::{AccessTokenSettings, Keyring, Keys, PublishedKey, SealedFor, SigningKey};
use crate::domain::{AuditEvent, SignatureAlgorithm, Timestamp};
use crate::fault::Fault;
use crate::store::{Store, StoredSigningKey, Tx};
use crate::system::System;

/// How much longer than its last token a retired key stays published: for clocks that differ.
const SLACK: Duration = Duration::from_hours(1);
/// How long a new key is published before it signs: twice the time for which the JWKS may be cached.
const ANNOUNCED: Duration = Duration::from_mins(10);

/// How a signing key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The new key is published now and signs ten minutes later; the old one stays published until its last token has expired.
    Announced,
    /// The new key signs now, and every other one is dropped with all its tokens: it may be in other hands.
    AtOnce,
}

/// New tokens are signed with another algorithm than those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlgorithmChange {
    /// The algorithm of the key that signed.
    pub from: SignatureAlgorithm,
    /// The algorithm of the new key.
    pub to: SignatureAlgorithm,
}

impl AlgorithmChange {
    fn between(from: SignatureAlgorithm, to: SignatureAlgorithm) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }
}

impl fmt::Display for AlgorithmChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "algorithm changed from {} to {}",
            self.from.into_str(),
            self.to.into_str()
        )
    }
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyStage {
    /// It is published and will sign.
    Next,
    /// It signs.
    Signing,
    /// It signs no more, and what it signed may still be valid.
    Retired,
}

/// A signing key as the operator sees it.
#[derive(Clone, Debug)]
pub struct SigningKeyState {
    /// Its key id.
    pub kid: String,
    /// The name of its algorithm.
    pub algorithm: String,
    /// Where it is in its life.
    pub stage: SigningKeyStage,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_at: Timestamp,
    /// Since when it signs no more, which may lie ahead.
    pub retired_at: Option<Timestamp>,
    /// Until when it is in the JWKS at least; `None` while nothing follows it.
    pub published_until: Option<Timestamp>,
}

/// The keyring of a process, which is exchanged when the keys in the database are others.
pub(super) struct CurrentKeyring {
    loaded: RwLock<Loaded>,
    fault: Fault,
}

struct Loaded {
    keyring: Arc<Keyring>,
    /// [`Store::foreign_commits`] before it was read.
    seen: u64,
}

impl CurrentKeyring {
    pub(super) fn new(keyring: Keyring) -> Self {
        // Older than anything: the first write looks whether a command came in between.
        Self {
            loaded: RwLock::new(Loaded {
                keyring: Arc::new(keyring),
                seen: 0,
            }),
            fault: Fault::new("the signing keys cannot be read, the last known are published"),
        }
    }

    /// The keyring as it was read last.
    pub(super) fn present(&self) -> Arc<Keyring> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).keyring)
    }

    fn seen(&self) -> u64 {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).seen
    }

    fn exchange(&self, keyring: Arc<Keyring>, seen: u64) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if seen >= loaded.seen {
            *loaded = Loaded { keyring, seen };
        }
    }
}

/// Unseals the signing keys of the database. If none of them signs, now or later, with the algorithm that is `wanted`, a new one is made and the others
/// stop signing; they stay published until their last token has expired. If no algorithm is wanted, the keys that are there go on.
pub async fn load_keyring(
    store: &Store,
    keys: &Keys,
    wanted: Option<SignatureAlgorithm>,
    settings: AccessTokenSettings,
    system: &System,
) -> Result<Keyring, Error> {
    let now = system.now();
    let forget_before = now - settings.ttl - SLACK;
    let stored = list(store).await?;
    let present = stored.first().map(algorithm_of).transpose()?;
    let algorithm = wanted.or(present).unwrap_or_default();
    let signs = |key: &StoredSigningKey| key.retired_at.is_none() && key.algorithm == algorithm.into_str();
    let added = if stored.iter().any(signs) {
        None
    } else {
        Some(new_key(keys, algorithm, now, system)?)
    };
    store
        .write(move |tx| {
            if let Some(row) = added {
                tx.insert_signing_key(&row)?;
                tx.retire_other_signing_keys(&row.kid, now)?;
            }
            tx.delete_signing_keys_retired_before(forget_before)?;
            Ok::<_, Error>(())
        })
        .await?;
    if let Some(AlgorithmChange { from, to }) =
        present.and_then(|from| AlgorithmChange::between(from, algorithm))
    {
        let (from, to) = (from.into_str(), to.into_str());
        tracing::warn!(
            "access tokens are signed with {to} from now on and with {from} before: tokens.algorithm has changed"
        );
    }
    unseal_all(keys, &list(store).await?, settings)
}

impl Service {
    /// The keyring to sign with: the one that the last write of this process could see.
    pub(super) async fn keyring(&self) -> Result<Arc<Keyring>, Error> {
        let seen = self.store.foreign_commits();
        if self.keyring.seen() == seen {
            return Ok(self.keyring.present());
        }
        self.reload_keyring().await
    }

    async fn reload_keyring(&self) -> Result<Arc<Keyring>, Error> {
        let seen = self.store.foreign_commits();
        let stored = list(&self.store).await?;
        let mut keyring = self.keyring.present();
        let times = stored
            .iter()
            .map(|key| (key.kid.as_str(), key.active_at, key.retired_at));
        if !keyring.key_times().eq(times) {
            keyring = Arc::new(unseal_all(&self.rules.keys, &stored, keyring.settings().clone())?);
            tracing::info!("the signing keys have changed");
        }
        self.keyring.exchange(Arc::clone(&keyring), seen);
        Ok(keyring)
    }

    /// The public halves of the signing keys as a JWK set: those that the database has now, or had when it could be read last.
    pub async fn jwks(&self) -> String {
        let keyring = match self.reload_keyring().await {
            Ok(keyring) => {
                self.keyring.fault.ended();
                keyring
            }
            Err(error) => {
                self.keyring.fault.failed(&error);
                self.keyring.present()
            }
        };
        keyring.jwks().to_owned()
    }

    /// The signing keys, the one that became active last first.
    pub async fn list_signing_keys(&self) -> Result<Vec<SigningKeyState>, Error> {
        let (now, stays) = (self.system.now(), self.keyring.present().settings().ttl + SLACK);
        Ok(list(&self.store)
            .await?
            .into_iter()
            .map(|key| SigningKeyState {
                stage: match key.retired_at {
                    Some(retired_at) if retired_at <= now => SigningKeyStage::Retired,
                    _ if now < key.active_at => SigningKeyStage::Next,
                    _ => SigningKeyStage::Signing,
                },
                kid: key.kid,
                algorithm: key.algorithm,
                created_at: key.created_at,
                active_at: key.active_at,
                retired_at: key.retired_at,
                published_until: key.retired_at.map(|retired_at| retired_at + stays),
            })
            .collect())
    }

    /// Replaces the signing key by a new one, of the algorithm that is `wanted` or else of the same one; says whether the algorithm changes. The running
    /// server publishes it with the next request for its JWKS, and signs with it when its time has come.
    ///
    /// # Errors
    /// [`Error::RotationWaits`] while a key that was announced before does not sign yet; one that signs at once is not refused.
    pub async fn rotate_signing_key(
        &self,
        rotation: Rotation,
        wanted: Option<SignatureAlgorithm>,
    ) -> Result<Option<AlgorithmChange>, Error> {
        let now = self.system.now();
        let active_at = match rotation {
            Rotation::Announced => now + ANNOUNCED,
            Rotation::AtOnce => now,
        };
        let stored = list(&self.store).await?;
        let present = algorithm_of(signer(&stored, now).ok_or(Error::NoSigningKey)?)?;
        let algorithm = wanted.unwrap_or(present);
        let change = AlgorithmChange::between(present, algorithm);
        let mut key = new_key(&self.rules.keys, algorithm, now, &self.system)?;
        key.active_at = active_at;
        let detail = change.map_or_else(
            || format!("to {}", key.kid),
            |change| format!("to {}, {change}", key.kid),
        );
        let record = self.by_operator(AuditEvent::SigningKeyRotated).saying(detail);
        self.change_audited(record, move |unit, _| {
            let waiting = unit.tx.list_signing_keys()?.into_iter();
            let mut waiting = waiting.filter(|key| key.retired_at.is_none() && key.active_at > now);
            if let (Rotation::Announced, Some(waits)) = (rotation, waiting.next()) {
                return Err(Error::RotationWaits {
                    kid: waits.kid,
                    active_at: waits.active_at,
                }
                .into());
            }
            unit.tx.insert_signing_key(&key)?;
            match rotation {
                Rotation::Announced => unit.tx.retire_other_signing_keys(&key.kid, active_at)?,
                Rotation::AtOnce => _ = unit.tx.delete_other_signing_keys(&key.kid)?,
            }
            Ok(change)
        })
        .await
    }

    /// Removes the keys whose last token has expired; says how many.
    pub(super) async fn forget_signing_keys(&self) -> Result<usize, Error> {
        let before = self.system.now() - self.keyring.present().settings().ttl - SLACK;
        self.store
            .write(move |tx| Ok(tx.delete_signing_keys_retired_before(before)?))
            .await
    }
}

/// Every key: those that sign or will first, and of these the one that became active last.
async fn list(store: &Store) -> Result<Vec<StoredSigningKey>, Error> {
    let mut stored = store
        .read(|reader| reader.list_signing_keys().map_err(Error::from))
        .await?;
    stored.sort_by_key(|key| key.retired_at.is_some());
    Ok(stored)
}

/// The key that signs at `now`; the first one if a clock that was set back leaves the time of none.
fn signer(stored: &[StoredSigningKey], now: Timestamp) -> Option<&StoredSigningKey> {
    let signs = |key: &&StoredSigningKey| key.active_at <= now && key.retired_at.is_none_or(|end| now < end);
    let on_time = stored.iter().filter(signs);
    on_time.max_by_key(|key| key.active_at).or(stored.first())
}

/// Puts a new key in the place of all, of the algorithm that is `wanted` or else of the one that signed. Makes none if there was none and no algorithm is
/// wanted: the next server chooses.
pub(super) fn replace_all(
    tx: &Tx<'_>,
    keys: &Keys,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
) -> Result<Option<AlgorithmChange>, Error> {
    let now = system.now();
    let stored = tx.list_signing_keys()?;
    let present = signer(&stored, now).map(algorithm_of).transpose()?;
    tx.delete_all_signing_keys()?;
    let Some(algorithm) = wanted.or(present) else {
        return Ok(None);
    };
    tx.insert_signing_key(&new_key(keys, algorithm, now, system)?)?;
    Ok(present.and_then(|from| AlgorithmChange::between(from, algorithm)))
}

fn new_key(
    keys: &Keys,
    algorithm: SignatureAlgorithm,
    now: Timestamp,
    system: &System,
) -> Result<StoredSigningKey, Error> {
    let (key, pkcs8) = SigningKey::generate(algorithm, system).map_err(Error::internal)?;
    Ok(StoredSigningKey {
        kid: key.kid().to_owned(),
        algorithm: algorithm.into_str().to_owned(),
        sealed_private: keys.seal(SealedFor::SigningKey(key.kid()), &pkcs8, system),
        created_at: now,
        active_at: now,
        retired_at: None,
    })
}

fn unseal_all(
    keys: &Keys,
    stored: &[StoredSigningKey],
    settings: AccessTokenSettings,
) -> Result<Keyring, Error> {
    let published: Result<Vec<PublishedKey>, Error> = stored
        .iter()
        .map(|row| {
            Ok(PublishedKey {
                key: unseal(keys, row)?,
                active_at: row.active_at,
                retired_at: row.retired_at,
            })
        })
        .collect();
    Ok(Keyring::new(published?, settings))
}

/// Opens the private half of a stored key.
pub(super) fn unseal(keys: &Keys, stored: &StoredSigningKey) -> Result<SigningKey, Error> {
    let pkcs8 = keys
        .open(SealedFor::SigningKey(&stored.kid), &stored.sealed_private)
        .map_err(Error::internal)?;
    SigningKey::from_pkcs8(algorithm_of(stored)?, &pkcs8).map_err(Error::internal)
}

fn algorithm_of(stored: &StoredSigningKey) -> Result<SignatureAlgorithm, Error> {
    let algorithm = stored.algorithm.parse();
    algorithm.map_err(|_| Error::internal("a stored signing key has an unknown algorithm"))
}
