//! Runs of wrong passwords (see `domain::FailureRun`), and the addresses from which an account was lately used.

use std::net::IpAddr;

use super::bounded::BoundedTable;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{FailureDigest, FailureKey, FailureRun, FailureRuns, Timestamp, UserId};

const TABLE: BoundedTable = BoundedTable {
    name: "password_failures",
    changed_at: "last_failed_at",
};
/// The value of `network` in the row that counts all networks together.
const EVERYWHERE: &[u8] = &[];

impl Reader<'_> {
    /// The runs that decide whether a guess under `key` must wait.
    pub fn find_failures(&self, key: FailureKey) -> Result<FailureRuns> {
        let mut runs = FailureRuns::default();
        let sql = "SELECT network, length, last_failed_at, stretch, added FROM password_failures
             WHERE guessed = ?1 AND network IN (?2, ?3, ?4)";
        self.query(
            sql,
            params![key.guessed, key.network, key.site, EVERYWHERE],
            |row| {
                let network: Vec<u8> = row.take()?;
                let run = Some(FailureRun {
                    length: row.take()?,
                    last_failed_at: row.take()?,
                    stretch: row.take()?,
                    added: row.take()?,
                });
                if network == EVERYWHERE {
                    runs.from_everywhere = run;
                }
                if network == key.network.0 {
                    runs.from_here = run;
                }
                if network == key.site.0 {
                    runs.from_site = run;
                }
                Ok(())
            },
        )?;
        Ok(runs)
    }

    /// The addresses from which sessions of the account, live or ended, were begun or last refreshed. Only sessions that were used at `since` or later count.
    /// `None` is this machine.
    pub fn list_session_addresses(&self, user_id: UserId, since: Timestamp) -> Result<Vec<Option<IpAddr>>> {
        let sql = "SELECT address FROM sessions WHERE user_id = ?1 AND last_used_at >= ?2
             UNION SELECT moved_address FROM sessions WHERE user_id = ?1 AND last_used_at >= ?2";
        let texts: Vec<Option<String>> =
            self.query(sql, params![user_id, since], |row| row.get("address"))?;
        let parse = |text: Option<String>| text.map(|text| text.parse()).transpose().ok();
        Ok(texts.into_iter().filter_map(parse).collect())
    }
}

impl Tx<'_> {
    /// Stores the runs of a key, then removes all but the `most` newest rows of its kind.
    pub fn put_failures(&self, key: FailureKey, runs: FailureRuns, most: u32) -> Result<()> {
        let from_here = runs.from_here.filter(|_| key.has_wide_site());
        for (network, run) in [
            (&key.network.0[..], from_here),
            (&key.site.0[..], runs.from_site),
            (EVERYWHERE, runs.from_everywhere),
        ] {
            let Some(run) = run else { continue };
            let sql = "INSERT INTO password_failures (is_account, number, guessed, network, length, last_failed_at, stretch, added)
                 VALUES (?1, 1 + (SELECT coalesce(max(number), 0) FROM password_failures WHERE is_account = ?1),
                         ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (guessed, network) DO UPDATE SET
                     number = excluded.number, length = excluded.length, last_failed_at = excluded.last_failed_at,
                     stretch = excluded.stretch, added = excluded.added";
            let values = params![
                key.kind,
                key.guessed,
                network,
                run.length,
                run.last_failed_at,
                run.stretch,
                run.added,
            ];
            self.execute_counted(sql, values)?;
        }
        TABLE.trim(self, key.kind, most.into())
    }

    /// Removes every run of the guessed account or name.
    pub fn delete_failures(&self, guessed: FailureDigest) -> Result<()> {
        self.execute(
            "DELETE FROM password_failures WHERE guessed = ?1",
            params![guessed],
        )
    }

    /// Removes up to `limit` runs of each kind whose last failure was before `before`; returns their number.
    pub fn delete_old_failures(&self, before: Timestamp, limit: u32) -> Result<usize> {
        TABLE.delete_old(self, before, limit)
    }
}
