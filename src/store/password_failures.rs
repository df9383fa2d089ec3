//! Wrong passwords in a row.

use std::net::IpAddr;

use rusqlite::params;

use super::{Reader, StoreError, Tx};
use crate::domain::{FailureDigest, FailureKey, FailureKind, FailureRun, FailureRuns, Timestamp, UserId};

/// Stands for all networks together.
const EVERYWHERE: &[u8] = &[];

impl Reader<'_> {
    /// The runs that a guess under `key` meets.
    pub fn find_failures(&self, key: FailureKey) -> Result<FailureRuns, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT network, length, last_failed_at, stretch, added FROM password_failures
             WHERE guessed = ?1 AND network IN (?2, ?3, ?4)",
        )?;
        let mut rows = statement.query(params![key.guessed.0, key.network.0, key.site.0, EVERYWHERE])?;
        let mut runs = FailureRuns::default();
        while let Some(row) = rows.next()? {
            let run = Some(FailureRun {
                length: row.get("length")?,
                last_failed_at: Timestamp::from_millis(row.get("last_failed_at")?),
                stretch: Timestamp::from_millis(row.get("stretch")?),
                added: row.get("added")?,
            });
            let network: Vec<u8> = row.get("network")?;
            if network == EVERYWHERE {
                runs.from_everywhere = run;
            }
            if network == key.network.0 {
                runs.from_here = run;
            }
            if network == key.site.0 {
                runs.from_site = run;
            }
        }
        Ok(runs)
    }

    /// From which addresses the sessions of `holder`, living or ended, were begun and last refreshed, if they were used at `since` or later; `None` is this
    /// machine.
    pub fn list_session_addresses(
        &self,
        holder: UserId,
        since: Timestamp,
    ) -> Result<Vec<Option<IpAddr>>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT address FROM sessions WHERE user_id = ?1 AND last_used_at >= ?2
             UNION SELECT moved_address FROM sessions WHERE user_id = ?1 AND last_used_at >= ?2",
        )?;
        let addresses = statement.query_map(params![holder.as_bytes(), since.as_millis()], |row| {
            row.get::<_, Option<String>>("address")
        })?;
        let mut known = Vec::new();
        for address in addresses {
            match address?.map(|text| text.parse()) {
                None => known.push(None),
                Some(Ok(address)) => known.push(Some(address)),
                Some(Err(_)) => {}
            }
        }
        Ok(known)
    }
}

impl Tx<'_> {
    /// Writes the runs of a key; of its kind only the `most` rows with the latest failures stay.
    pub fn put_failures(&self, key: FailureKey, runs: FailureRuns, most: u32) -> Result<(), StoreError> {
        let kind = is_account(key.kind);
        for (network, run) in [
            (
                key.network.0.as_slice(),
                runs.from_here.filter(|_| key.has_wide_site()),
            ),
            (&key.site.0, runs.from_site),
            (EVERYWHERE, runs.from_everywhere),
        ] {
            let Some(run) = run else { continue };
            self.connection
                .prepare_cached(
                    "INSERT INTO password_failures (is_account, number, guessed, network, length, last_failed_at, stretch, added)
                     VALUES (?1, 1 + (SELECT coalesce(max(number), 0) FROM password_failures WHERE is_account = ?1),
                             ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (guessed, network) DO UPDATE SET
                         number = excluded.number, length = excluded.length, last_failed_at = excluded.last_failed_at,
                         stretch = excluded.stretch, added = excluded.added",
                )?
                .execute(params![
                    kind,
                    key.guessed.0,
                    network,
                    run.length,
                    run.last_failed_at.as_millis(),
                    run.stretch.as_millis(),
                    run.added,
                ])?;
        }
        // Numbers leave gaps where a row got a later one, so that fewer may stay than could.
        self.connection
            .prepare_cached(
                "DELETE FROM password_failures
                 WHERE is_account = ?1 AND number <= (SELECT max(number) FROM password_failures WHERE is_account = ?1) - ?2",
            )?
            .execute(params![kind, most])?;
        Ok(())
    }

    /// Forgets every run of an account.
    pub fn delete_failures(&self, guessed: FailureDigest) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM password_failures WHERE guessed = ?1")?
            .execute([guessed.0])?;
        Ok(())
    }

    /// Forgets every run.
    pub fn delete_all_failures(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM password_failures", [])?)
    }

    /// Removes up to `limit` runs of each kind whose last failure was before `before`; says how many.
    pub fn delete_old_failures(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM password_failures
             WHERE is_account = ?1 AND last_failed_at < ?2
               AND number IN (SELECT number FROM password_failures WHERE is_account = ?1 ORDER BY number LIMIT ?3)",
        )?;
        let mut removed = 0;
        for kind in FailureKind::ALL {
            removed += statement.execute(params![is_account(kind), before.as_millis(), limit])?;
        }
        Ok(removed)
    }
}

/// How a kind is stored.
pub(super) fn is_account(kind: FailureKind) -> bool {
    kind == FailureKind::OfAccount
}
