//! The keys that sign access tokens, sealed.

use rusqlite::params;

use super::{Reader, StoreError, Tx};
use crate::domain::{Sealed, Timestamp};

/// A signing key as it is stored.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// Its key id.
    pub kid: String,
    /// The name of its algorithm.
    pub algorithm: String,
    /// Its private half.
    pub sealed_private: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_at: Timestamp,
    /// Since when it signs no more.
    pub retired_at: Option<Timestamp>,
}

impl Reader<'_> {
    /// Every key, the one that became active last first.
    pub fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT kid, algorithm, sealed_private, created_at, active_at, retired_at
             FROM signing_keys ORDER BY active_at DESC, kid",
        )?;
        let keys = statement.query_map([], |row| {
            Ok(StoredSigningKey {
                kid: row.get("kid")?,
                algorithm: row.get("algorithm")?,
                sealed_private: Sealed(row.get("sealed_private")?),
                created_at: Timestamp::from_millis(row.get("created_at")?),
                active_at: Timestamp::from_millis(row.get("active_at")?),
                retired_at: row
                    .get::<_, Option<i64>>("retired_at")?
                    .map(Timestamp::from_millis),
            })
        })?;
        Ok(keys.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Removes every key.
    pub fn delete_all_signing_keys(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM signing_keys", [])?)
    }

    /// Adds a key.
    pub fn insert_signing_key(&self, key: &StoredSigningKey) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO signing_keys (kid, algorithm, sealed_private, created_at, active_at, retired_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key.kid,
                key.algorithm,
                key.sealed_private.0,
                key.created_at.as_millis(),
                key.active_at.as_millis(),
                key.retired_at.map(Timestamp::as_millis),
            ])?;
        Ok(())
    }

    /// Lets every key but `kid` sign no more from `moment` on.
    pub fn retire_other_signing_keys(&self, kid: &str, moment: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE signing_keys SET retired_at = ?2 WHERE kid <> ?1 AND (retired_at IS NULL OR retired_at > ?2)",
            )?
            .execute(params![kid, moment.as_millis()])?;
        Ok(())
    }

    /// Removes every key but `kid`; says how many.
    pub fn delete_other_signing_keys(&self, kid: &str) -> Result<usize, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM signing_keys WHERE kid <> ?1")?;
        Ok(statement.execute([kid])?)
    }

    /// Puts the private half of a key, sealed anew, in the place of the one that is stored.
    pub fn reseal_signing_key(&self, kid: &str, sealed_private: &Sealed) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE signing_keys SET sealed_private = ?2 WHERE kid = ?1")?
            .execute(params![kid, sealed_private.0])?;
        Ok(())
    }

    /// Removes the keys that stopped signing before `before`, whose last tokens have expired by then.
    pub fn delete_signing_keys_retired_before(&self, before: Timestamp) -> Result<usize, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM signing_keys WHERE retired_at < ?1")?;
        Ok(statement.execute([before.as_millis()])?)
    }
}
