//! The keys that sign access tokens, sealed.

use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{Sealed, SignatureAlgorithm, Timestamp};

/// A stored signing key.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    pub kid: String,
    pub algorithm: SignatureAlgorithm,
    pub sealed_private: Sealed,
    pub created_at: Timestamp,
    /// When the key begins to sign.
    pub active_at: Timestamp,
    /// When the key stops signing; `None` if that is not decided.
    pub retired_at: Option<Timestamp>,
}

impl Reader<'_> {
    /// Every key, the one with the latest `active_at` first.
    pub fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>> {
        let sql = "SELECT kid, algorithm, sealed_private, created_at, active_at, retired_at
             FROM signing_keys ORDER BY active_at DESC, kid";
        self.query(sql, params![], |row| {
            Ok(StoredSigningKey {
                kid: row.get("kid")?,
                algorithm: row.get("algorithm")?,
                sealed_private: row.get("sealed_private")?,
                created_at: row.get("created_at")?,
                active_at: row.get("active_at")?,
                retired_at: row.get("retired_at")?,
            })
        })
    }
}

impl Tx<'_> {
    pub fn delete_all_signing_keys(&self) -> Result<usize> {
        let deleted = self.execute_counted("DELETE FROM signing_keys", params![])?;
        self.announce_keys(deleted)
    }

    pub fn insert_signing_key(&self, key: &StoredSigningKey) -> Result<()> {
        let sql =
            "INSERT INTO signing_keys (kid, algorithm, sealed_private, created_at, active_at, retired_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            key.kid,
            key.algorithm,
            key.sealed_private,
            key.created_at,
            key.active_at,
            key.retired_at
        ];
        let added = self.execute_counted(sql, values)?;
        self.announce_keys(added)?;
        Ok(())
    }

    /// Retires every key but `kid` at `retired_at`, unless it retires earlier.
    pub fn retire_other_signing_keys(&self, kid: &str, retired_at: Timestamp) -> Result<()> {
        let sql = "UPDATE signing_keys SET retired_at = ?2 WHERE kid <> ?1 AND (retired_at IS NULL OR retired_at > ?2)";
        let retired = self.execute_counted(sql, params![kid, retired_at])?;
        self.announce_keys(retired)?;
        Ok(())
    }

    /// Removes every key but `kid`.
    pub fn delete_other_signing_keys(&self, kid: &str) -> Result<()> {
        let deleted = self.execute_counted("DELETE FROM signing_keys WHERE kid <> ?1", params![kid])?;
        self.announce_keys(deleted)?;
        Ok(())
    }

    /// Replaces the sealed private half of a key.
    pub fn reseal_signing_key(&self, kid: &str, sealed_private: &Sealed) -> Result<()> {
        let sql = "UPDATE signing_keys SET sealed_private = ?2 WHERE kid = ?1";
        self.execute(sql, params![kid, sealed_private])
    }

    /// Removes the keys that stopped signing before `before`. The caller chooses `before` so that their last tokens have expired.
    pub fn delete_signing_keys_retired_before(&self, before: Timestamp) -> Result<usize> {
        let deleted =
            self.execute_counted("DELETE FROM signing_keys WHERE retired_at < ?1", params![before])?;
        self.announce_keys(deleted)
    }

    /// Tells other processes that `changed` keys have changed, and returns that number.
    fn announce_keys(&self, changed: usize) -> Result<usize> {
        if changed > 0 {
            self.engine.announce_keys()?;
        }
        Ok(changed)
    }
}
