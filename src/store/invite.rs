//! Invites.

use rusqlite::{OptionalExtension, Row, params};

use super::{Reader, StoreError, Tx};
use crate::domain::{Invite, InviteDigest, InviteId, InviteUses, Note, Page, Paging, Sealed, Timestamp};

const COLUMNS: &str = "id, sealed_code, uses, max_uses, note, created_at, expires_at, revoked_at";

fn invite_of(row: &Row<'_>) -> rusqlite::Result<(Invite, Sealed)> {
    let max_uses: u32 = row.get("max_uses")?;
    let invite = Invite {
        id: InviteId::from_bytes(row.get("id")?),
        uses: row.get("uses")?,
        max_uses: InviteUses::new(max_uses)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(3, max_uses.into()))?,
        note: row.get::<_, Option<String>>("note")?.map(Note::from_stored),
        created_at: Timestamp::from_millis(row.get("created_at")?),
        expires_at: row
            .get::<_, Option<i64>>("expires_at")?
            .map(Timestamp::from_millis),
        revoked_at: row
            .get::<_, Option<i64>>("revoked_at")?
            .map(Timestamp::from_millis),
    };
    Ok((invite, Sealed(row.get("sealed_code")?)))
}

impl Reader<'_> {
    /// The invite with this code, and its sealed code.
    pub fn find_invite(&self, digest: InviteDigest) -> Result<Option<(Invite, Sealed)>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM invites WHERE code_digest = ?1");
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_row([digest.0], invite_of)
            .optional()?)
    }

    /// Invites with their sealed codes, the newest first: those that admit somebody at `active_at`, or all.
    pub fn list_invites(
        &self,
        active_at: Option<Timestamp>,
        paging: Paging<InviteId>,
    ) -> Result<Page<(Invite, Sealed)>, StoreError> {
        const WANTED: &str = "FROM invites WHERE id < ?1
             AND (?2 IS NULL OR (revoked_at IS NULL AND uses < max_uses AND (expires_at IS NULL OR expires_at > ?2)))";
        let before = |id: Option<&InviteId>| *id.unwrap_or(&InviteId::LAST).as_bytes();
        let active_at = active_at.map(Timestamp::as_millis);
        let sql = format!("SELECT {COLUMNS} {WANTED} ORDER BY id DESC LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let values = params![before(paging.after.as_ref()), active_at, paging.limit];
        let rows: Vec<(Invite, Sealed)> = statement
            .query_map(values, invite_of)?
            .collect::<Result<_, _>>()?;
        let last = rows
            .last()
            .map(|(invite, _)| &invite.id)
            .or(paging.after.as_ref());
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT count(*) {WANTED}"))?;
        let more = statement.query_row(params![before(last), active_at], |row| row.get(0))?;
        Ok(Page { rows, more })
    }

    /// Whether an invite has this id.
    pub fn is_invite(&self, id: InviteId) -> Result<bool, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM invites WHERE id = ?1")?;
        Ok(statement.exists([id.as_bytes()])?)
    }

    /// Every invite with its sealed code.
    pub fn list_all_invites(&self) -> Result<Vec<(Invite, Sealed)>, StoreError> {
        Ok(self.list_invites(None, Paging::default())?.rows)
    }
}

impl Tx<'_> {
    /// Gives an invite another code, or the same code under another key.
    pub fn replace_invite_code(
        &self,
        id: InviteId,
        digest: InviteDigest,
        sealed_code: &Sealed,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE invites SET code_digest = ?2, sealed_code = ?3 WHERE id = ?1")?
            .execute(params![id.as_bytes(), digest.0, sealed_code.0])?;
        Ok(())
    }

    /// Takes back every invite that is not used up, also one whose term is over: that may be for a clock that is set wrong. Says how many would
    /// have admitted an account at `now`.
    pub fn revoke_all_invites(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE invites SET revoked_at = ?1 WHERE revoked_at IS NULL AND uses < max_uses
             RETURNING expires_at IS NULL OR expires_at > ?1 AS was_active",
        )?;
        let revoked = statement.query_map([now.as_millis()], |row| row.get("was_active"))?;
        let was_active: Vec<bool> = revoked.collect::<Result<_, _>>()?;
        Ok(was_active.into_iter().filter(|was_active| *was_active).count())
    }

    /// Adds an invite.
    pub fn insert_invite(
        &self,
        invite: &Invite,
        digest: InviteDigest,
        sealed_code: &Sealed,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO invites (id, code_digest, sealed_code, uses, max_uses, note, created_at, expires_at, revoked_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                invite.id.as_bytes(),
                digest.0,
                sealed_code.0,
                invite.uses,
                invite.max_uses.get(),
                invite.note.as_ref().map(Note::as_str),
                invite.created_at.as_millis(),
                invite.expires_at.map(Timestamp::as_millis),
                invite.revoked_at.map(Timestamp::as_millis),
            ])?;
        Ok(())
    }

    /// Takes one use of the invite with this code, and says of which; `None` if it admits nobody at `now`.
    ///
    /// One conditional UPDATE decides, so that an invite never admits more than it may.
    pub fn consume_invite(
        &self,
        digest: InviteDigest,
        now: Timestamp,
    ) -> Result<Option<InviteId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE invites SET uses = uses + 1
             WHERE code_digest = ?1 AND revoked_at IS NULL AND uses < max_uses AND (expires_at IS NULL OR expires_at > ?2)
             RETURNING id",
        )?;
        let id = statement
            .query_row(params![digest.0, now.as_millis()], |row| row.get("id"))
            .optional()?;
        Ok(id.map(InviteId::from_bytes))
    }

    /// Takes the invite back, unless it was taken back before; says whether there is such an invite.
    pub fn revoke_invite(&self, digest: InviteDigest, now: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE invites SET revoked_at = coalesce(revoked_at, ?2) WHERE code_digest = ?1",
        )?;
        Ok(statement.execute(params![digest.0, now.as_millis()])? == 1)
    }
}
