//! Listing and replacing the signing keys.

use std::time::Duration;

use crate::domain::{AuditEvent, SignatureAlgorithm, Timestamp};
use crate::service::rules::signing_key::{AlgorithmChange, list_keys, new_key, published_for, signer};
use crate::service::{Error, Service};
use crate::store::StoredSigningKey;

/// How long a new key is published before it signs: twice the time for which the JWKS may be cached.
const ANNOUNCED: Duration = Duration::from_mins(10);

/// How a signing key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRotation {
    /// The new key is published now and signs ten minutes later; the old one stays published until its last token has expired.
    Announced,
    /// The new key signs now. Every other key is deleted, because it may be stolen, and the tokens that it signed become invalid.
    AtOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum SigningKeyStage {
    /// It is published and will sign.
    Next,
    Signing,
    /// It no longer signs, but tokens that it signed may still be valid.
    Retired,
}

/// A signing key as the operator sees it.
#[derive(Clone, Debug)]
pub struct SigningKeyState {
    pub key: StoredSigningKey,
    pub stage: SigningKeyStage,
    /// The key stays in the JWKS at least until then; `None` while it has no successor.
    pub published_until: Option<Timestamp>,
}

impl Service {
    /// The signing keys: those without a successor first, then the others, each group by `active_at` with the latest first.
    pub async fn list_signing_keys(&self) -> Result<Vec<SigningKeyState>, Error> {
        let now = self.system.now();
        let published_for = published_for(&self.keyring.present().settings);
        let states = list_keys(&self.store)
            .await?
            .into_iter()
            .map(|key| SigningKeyState {
                stage: match key.retired_at {
                    Some(retired_at) if retired_at <= now => SigningKeyStage::Retired,
                    _ if now < key.active_at => SigningKeyStage::Next,
                    _ => SigningKeyStage::Signing,
                },
                published_until: key.retired_at.map(|retired_at| retired_at + published_for),
                key,
            });
        Ok(states.collect())
    }

    /// Replaces the signing key by a new one with the `wanted` algorithm; `None` keeps the algorithm. Returns the change of the algorithm, if there is one.
    /// The running server publishes the new key with the next request for its JWKS, and signs with it from its `active_at` on.
    ///
    /// # Errors
    /// [`Error::RotationWaits`] for [`KeyRotation::Announced`] while an earlier announced key does not sign yet; [`Error::NoSigningKey`].
    pub async fn rotate_signing_key(
        &self,
        rotation: KeyRotation,
        wanted: Option<SignatureAlgorithm>,
    ) -> Result<Option<AlgorithmChange>, Error> {
        let now = self.system.now();
        let active_at = match rotation {
            KeyRotation::Announced => now + ANNOUNCED,
            KeyRotation::AtOnce => now,
        };
        let stored = list_keys(&self.store).await?;
        let present = signer(&stored, now).ok_or(Error::NoSigningKey)?.algorithm;
        let algorithm = wanted.unwrap_or(present);
        let change = AlgorithmChange::between(present, algorithm);
        let mut key = new_key(&self.rules.keys, algorithm, now, &self.system)?;
        key.active_at = active_at;
        let detail = match change {
            Some(change) => format!("to {}, {change}", key.kid),
            None => format!("to {}", key.kid),
        };
        let record = self.by_operator(AuditEvent::SigningKeyRotated).saying(detail);
        self.change_audited(record, move |unit, _| {
            let waiting = unit.list_signing_keys()?.into_iter();
            let mut waiting = waiting.filter(|key| key.retired_at.is_none() && key.active_at > now);
            if let (KeyRotation::Announced, Some(waits)) = (rotation, waiting.next()) {
                return Err(Error::RotationWaits {
                    kid: waits.kid,
                    active_at: waits.active_at,
                }
                .into());
            }
            unit.insert_signing_key(&key)?;
            match rotation {
                KeyRotation::Announced => unit.retire_other_signing_keys(&key.kid, active_at)?,
                KeyRotation::AtOnce => unit.delete_other_signing_keys(&key.kid)?,
            }
            Ok(change)
        })
        .await
    }
}
