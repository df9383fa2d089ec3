//! The keys that sign access tokens, sealed.

use rusqlite::params;

use super::{Reader, Result, Tx};
use crate::domain::{Sealed, SignatureAlgorithm, Timestamp};

/// A signing key as it is stored.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// Its key id.
    pub kid: String,
    pub algorithm: SignatureAlgorithm,
    /// Its private half.
    pub sealed_private: Sealed,
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_at: Timestamp,
    /// From when on it signs no more.
    pub retired_at: Option<Timestamp>,
}

impl Reader<'_> {
    /// Every key, the one that became active last first.
    pub fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>> {
        let sql = "SELECT kid, algorithm, sealed_private, created_at, active_at, retired_at
             FROM signing_keys ORDER BY active_at DESC, kid";
        self.query(sql, [], |row| {
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
        self.execute_counted("DELETE FROM signing_keys", [])
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
        self.execute(sql, values)
    }

    /// Lets every key but `kid` sign no more from `moment` on.
    pub fn retire_other_signing_keys(&self, kid: &str, moment: Timestamp) -> Result<()> {
        let sql = "UPDATE signing_keys SET retired_at = ?2 WHERE kid <> ?1 AND (retired_at IS NULL OR retired_at > ?2)";
        self.execute(sql, params![kid, moment])
    }

    /// Removes every key but `kid`; says how many.
    pub fn delete_other_signing_keys(&self, kid: &str) -> Result<usize> {
        self.execute_counted("DELETE FROM signing_keys WHERE kid <> ?1", [kid])
    }

    /// Replaces the sealed private half of a key.
    pub fn reseal_signing_key(&self, kid: &str, sealed_private: &Sealed) -> Result<()> {
        let sql = "UPDATE signing_keys SET sealed_private = ?2 WHERE kid = ?1";
        self.execute(sql, params![kid, sealed_private])
    }

    /// Removes the keys that stopped signing before `before`, whose last tokens have expired by then.
    pub fn delete_signing_keys_retired_before(&self, before: Timestamp) -> Result<usize> {
        self.execute_counted("DELETE FROM signing_keys WHERE retired_at < ?1", [before])
    }
}
