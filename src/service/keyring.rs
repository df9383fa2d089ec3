//! The signing keys of a process: loaded from the database, and reloaded after other processes have changed it.

use std::sync::Arc;
use std::time::Instant;

use super::current_keyring::Loaded;
use super::rules::signing_key::{list_keys, new_key, published_for, unseal};
use super::{Error, Service};
use crate::crypto::{AccessTokenSettings, Keyring, Keys, PublishedKey};
use crate::domain::SignatureAlgorithm;
use crate::store::{Store, StoredSigningKey};
use crate::system::System;

impl Service {
    /// The keyring to sign with. It is reloaded if another process may have changed the keys since.
    pub(super) async fn keyring(&self) -> Result<Arc<Keyring>, Error> {
        let Loaded { keyring, seen } = self.keyring.loaded();
        if seen == self.store.key_epoch() {
            return Ok(keyring);
        }
        self.reload_keyring().await
    }

    /// The keyring as the database has it, for a token of a key that this process does not know: another server may have made the key. `None` if no other
    /// server has the database, or if the keys were read a moment ago and have not changed since.
    pub(super) async fn keyring_of_other_servers(&self) -> Result<Option<Arc<Keyring>>, Error> {
        if !self.store.is_shared() {
            return Ok(None);
        }
        let is_changed = self.keyring.loaded().seen != self.store.key_epoch();
        if !is_changed && !self.keyring.may_look_again(Instant::now()) {
            return Ok(None);
        }
        self.reload_keyring().await.map(Some)
    }

    /// The public halves of the signing keys as a JWK set. If the database cannot be read, these are the keys that were read last.
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

    async fn reload_keyring(&self) -> Result<Arc<Keyring>, Error> {
        let seen = self.store.key_epoch();
        let stored = list_keys(&self.store).await?;
        let mut keyring = self.keyring.present();
        let times = stored
            .iter()
            .map(|key| (key.kid.as_str(), key.active_at, key.retired_at));
        if !keyring.key_times().eq(times) {
            keyring = Arc::new(unseal_all(&self.rules.keys, &stored, keyring.settings.clone())?);
            tracing::info!("the signing keys have changed");
        }
        self.keyring.replace(Arc::clone(&keyring), seen);
        Ok(keyring)
    }
}

/// Unseals the signing keys of the database, and removes those whose last token has expired. If no key signs with the `wanted` algorithm, now or later, it
/// creates one; the others stop signing, but stay published until their last token has expired. `None` keeps the algorithm that the keys have.
pub async fn load_keyring(
    store: &Store,
    keys: &Keys,
    wanted: Option<SignatureAlgorithm>,
    settings: AccessTokenSettings,
    system: &System,
) -> Result<Keyring, Error> {
    let now = system.now();
    let forget_before = now - published_for(&settings);
    let stored = list_keys(store).await?;
    let present = stored.first().map(|key| key.algorithm);
    let algorithm = wanted.or(present).unwrap_or_default();
    let signs = move |key: &StoredSigningKey| key.retired_at.is_none() && key.algorithm == algorithm;
    let is_there = stored.iter().any(signs);
    let added = (!is_there)
        .then(|| new_key(keys, algorithm, now, system))
        .transpose()?;
    store
        .write(move |tx| {
            // Another server may have made one since.
            if let Some(key) = added
                && !tx.list_signing_keys()?.iter().any(signs)
            {
                tx.insert_signing_key(&key)?;
                tx.retire_other_signing_keys(&key.kid, now)?;
            }
            tx.delete_signing_keys_retired_before(forget_before)?;
            Ok::<_, Error>(())
        })
        .await?;
    if let Some(from) = present.filter(|from| *from != algorithm) {
        let (from, to) = (from.into_str(), algorithm.into_str());
        tracing::warn!(
            "access tokens are signed with {to} from now on and with {from} before: tokens.algorithm has changed"
        );
    }
    unseal_all(keys, &list_keys(store).await?, settings)
}

fn unseal_all(
    keys: &Keys,
    stored: &[StoredSigningKey],
    settings: AccessTokenSettings,
) -> Result<Keyring, Error> {
    let published = stored.iter().map(|row| {
        Ok(PublishedKey {
            key: unseal(keys, row)?,
            active_at: row.active_at,
            retired_at: row.retired_at,
        })
    });
    Ok(Keyring::new(published.collect::<Result<_, Error>>()?, settings))
}
