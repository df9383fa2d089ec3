-- Changes of an account's address by its owner, and the links that undo them.

-- When the account got its address; NULL: at its creation. (An address that the operator set before this version counts as held since then.)
ALTER TABLE users ADD COLUMN email_since INTEGER;

-- Changes that are not confirmed yet: one for an account, the newest. The row is deleted when the change is confirmed or void.
CREATE TABLE email_changes (
    user_id    BLOB PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of the token of the mailed link, 32 random bytes, as for other links.
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    email      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_changes_by_end ON email_changes (expires_at);

-- Links that give an account a former address back. Until a link expires, no other account can take its address.
CREATE TABLE email_undos (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email       TEXT NOT NULL,
    email_key   TEXT NOT NULL,
    -- When the account had got the address: users.email_since has this value again after the undo.
    email_since INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_undos_by_user ON email_undos (user_id);
CREATE INDEX email_undos_by_address ON email_undos (email_key, expires_at);
CREATE INDEX email_undos_by_end ON email_undos (expires_at);

-- Verified addresses that an account has left, for 30 days: a change back to one of them sends no undo. Not keyed digests, because those become useless
-- after a restore and with another key file; then a thief's address that the owner leaves would get an undo.
CREATE TABLE former_addresses (
    user_id   BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email_key TEXT NOT NULL,
    left_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, email_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_addresses_by_end ON former_addresses (left_at);

-- So that an export of an account reads its own rows of the log only.
CREATE INDEX audit_events_by_user ON audit_events (user_id) WHERE user_id IS NOT NULL;
-- So that what happened to an account or under a name is found without reading the rest of the log, also under a username that the account had before.
CREATE INDEX audit_events_by_username ON audit_events (lower(username)) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_name ON audit_events (name_digest) WHERE name_digest IS NOT NULL;
CREATE INDEX audit_counts_by_username ON audit_counts (lower(username)) WHERE is_account = 1;
-- The counts that a list of the log shows, by the time of their last change.
CREATE INDEX audit_counts_unlisted ON audit_counts (last_at) WHERE unlisted IS NOT NULL;
