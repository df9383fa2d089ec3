-- What an owner does about their own account: a change of the address, and the way back.

-- Since when the account has its address; NULL: since the account was made. (What the operator set before this version counts as old.)
ALTER TABLE users ADD COLUMN email_since INTEGER;

-- Changes that wait for the link that was mailed to the new address: one for an account, the newest. A row is removed when it is used or void.
CREATE TABLE email_changes (
    user_id    BLOB PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of 32 random bytes, as of other links.
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    email      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_changes_by_end ON email_changes (expires_at);

-- Links with which a former address comes back. While one lives, no other account takes that address.
CREATE TABLE email_undos (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email       TEXT NOT NULL,
    email_key   TEXT NOT NULL,
    -- Since when the address had been the account's: it has that age again when it comes back.
    email_since INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_undos_by_user ON email_undos (user_id);
CREATE INDEX email_undos_by_address ON email_undos (email_key, expires_at);
CREATE INDEX email_undos_by_end ON email_undos (expires_at);

-- Addresses that an account has had verified, for 30 days: a change back to one of them sends no undo. They are no keyed digests, so that a restore and
-- another key file leave them as they are: a thief's address that the owner leaves would get an undo otherwise.
CREATE TABLE former_addresses (
    user_id   BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email_key TEXT NOT NULL,
    left_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, email_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_addresses_by_end ON former_addresses (left_at);
