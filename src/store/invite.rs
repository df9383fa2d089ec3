//! Invites.

use super::engine::Row;
use super::reader::PageQuery;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{Email, Invite, InviteDigest, InviteId, Page, Paging, Sealed, Timestamp, Username};

const COLUMNS: &str = "id, sealed_code, uses, max_uses, note, created_at, expires_at, revoked_at";

fn invite_of(row: &mut Row<'_>) -> Result<(Invite, Sealed)> {
    let invite = Invite {
        id: row.get("id")?,
        uses: row.get("uses")?,
        max_uses: row.get("max_uses")?,
        note: row.get("note")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
    };
    Ok((invite, row.get("sealed_code")?))
}

impl Reader<'_> {
    /// The invite whose code has this digest, and its sealed code.
    pub fn find_invite(&self, digest: InviteDigest) -> Result<Option<(Invite, Sealed)>> {
        let sql = format!("SELECT {COLUMNS} FROM invites WHERE code_digest = ?1");
        self.query_opt(&sql, params![digest], invite_of)
    }

    /// The invites that can be used at `active_at`, or all if it is `None`, with their sealed codes; the newest first.
    pub fn list_invites(
        &self,
        active_at: Option<Timestamp>,
        paging: Paging<InviteId>,
    ) -> Result<Page<(Invite, Sealed)>> {
        let query = PageQuery {
            columns: COLUMNS,
            wanted: "FROM invites WHERE id < ?1
             AND (CAST(?2 AS BIGINT) IS NULL OR (revoked_at IS NULL AND uses < max_uses AND (expires_at IS NULL OR expires_at > ?2)))",
            values: params![paging.after.unwrap_or(InviteId::LAST), active_at],
            column_values: params![],
            order: "ORDER BY id DESC",
        };
        self.query_page(&query, paging.limit, invite_of)
    }

    /// Whether an invite has admitted an account that has both these names.
    pub fn has_admitted(&self, id: InviteId, username: &Username, email: &Email) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?1 AND email_key = ?2 AND invite_id = ?3)";
        let values = params![username.key(), email.key(), id];
        self.query_one(sql, values, |row| row.take())
    }

    pub fn is_invite(&self, id: InviteId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM invites WHERE id = ?1)";
        self.query_one(sql, params![id], |row| row.take())
    }

    /// Every invite with its sealed code.
    pub fn list_all_invites(&self) -> Result<Vec<(Invite, Sealed)>> {
        Ok(self.list_invites(None, Paging::default())?.rows)
    }
}

impl Tx<'_> {
    /// Stores another code for an invite, or the same code sealed with another key.
    pub fn replace_invite_code(
        &self,
        id: InviteId,
        digest: InviteDigest,
        sealed_code: &Sealed,
    ) -> Result<()> {
        let sql = "UPDATE invites SET code_digest = ?2, sealed_code = ?3 WHERE id = ?1";
        self.execute(sql, params![id, digest, sealed_code])
    }

    /// Revokes every invite that is not used up. Expired invites are included, because the clock may be wrong. Returns how many could have been used at `now`.
    pub fn revoke_all_invites(&self, now: Timestamp) -> Result<usize> {
        let sql = "UPDATE invites SET revoked_at = ?1 WHERE revoked_at IS NULL AND uses < max_uses
             RETURNING expires_at IS NULL OR expires_at > ?1 AS was_active";
        let revoked: Vec<bool> = self.query(sql, params![now], |row| row.get("was_active"))?;
        Ok(revoked.into_iter().filter(|was_active| *was_active).count())
    }

    pub fn insert_invite(&self, invite: &Invite, digest: InviteDigest, sealed_code: &Sealed) -> Result<()> {
        let sql = "INSERT INTO invites (id, code_digest, sealed_code, uses, max_uses, note, created_at, expires_at, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = params![
            invite.id,
            digest,
            sealed_code,
            invite.uses,
            invite.max_uses,
            invite.note,
            invite.created_at,
            invite.expires_at,
            invite.revoked_at,
        ];
        self.execute(sql, values)
    }

    /// Takes one use of the invite with this code and returns its id; `None` if the invite cannot be used at `now`.
    ///
    /// One conditional UPDATE decides, so that an invite never admits more accounts than its uses allow.
    pub fn consume_invite(&self, digest: InviteDigest, now: Timestamp) -> Result<Option<InviteId>> {
        let sql = "UPDATE invites SET uses = uses + 1
             WHERE code_digest = ?1 AND revoked_at IS NULL AND uses < max_uses AND (expires_at IS NULL OR expires_at > ?2)
             RETURNING id";
        self.query_opt(sql, params![digest, now], |row| row.get("id"))
    }

    /// Revokes the invite, if there is one with this code; the time of the first revocation stays.
    pub fn revoke_invite(&self, digest: InviteDigest, now: Timestamp) -> Result<()> {
        let sql = "UPDATE invites SET revoked_at = coalesce(revoked_at, ?2) WHERE code_digest = ?1";
        self.execute(sql, params![digest, now])
    }
}
