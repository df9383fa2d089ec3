-- Accounts, sessions, invites and the keys that sign access tokens.
--
-- Ids are UUIDs of version 7 as 16 bytes. Times (`*_at`) are milliseconds since 1970-01-01T00:00:00Z. Tables are STRICT, so that a column holds what
-- it says; tables with an id are WITHOUT ROWID, so that a row is found with one search instead of two.

-- What there is one of: the check value of the key file, the registration mode, what the running server was configured with.
CREATE TABLE settings (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that sign access tokens. A key stays published after it stopped signing, until the last token it signed has expired.
CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint of the public half, which is also the `kid` of tokens.
    kid            TEXT PRIMARY KEY,
    algorithm      TEXT NOT NULL,
    -- PKCS#8, sealed under the key file: a copy of the database signs nothing.
    sealed_private BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    -- From when on it signs; the newest active key does.
    active_at      INTEGER NOT NULL,
    -- Since when it signs no more.
    retired_at     INTEGER
) STRICT, WITHOUT ROWID;

-- Invites. They are never deleted, so that an account's origin stays known.
CREATE TABLE invites (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- HMAC of the code under the key file: how a code is found without being stored.
    code_digest BLOB NOT NULL UNIQUE CHECK (length(code_digest) = 32),
    -- The code itself, sealed under the key file, so that the operator can list it again.
    sealed_code BLOB NOT NULL,
    -- How many accounts it admitted. The check is the last line of defence; the conditional UPDATE is the first.
    uses        INTEGER NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND max_uses),
    max_uses    INTEGER NOT NULL CHECK (max_uses >= 1),
    note        TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Accounts.
CREATE TABLE users (
    id                BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- As its owner typed it; `username_key` is the lower-case form by which it is found and unique.
    username          TEXT NOT NULL,
    username_key      TEXT NOT NULL UNIQUE,
    -- Mail goes to this spelling only; `email_key` is the lower-case form by which it is found and unique.
    email             TEXT NOT NULL,
    email_key         TEXT NOT NULL UNIQUE,
    email_verified_at INTEGER,
    -- PHC string of argon2id; NULL for an account that signs in otherwise.
    password_hash     TEXT,
    status            TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    locale            TEXT NOT NULL,
    timezone          TEXT,
    -- The invite that admitted it; NULL if none did.
    invite_id         BLOB REFERENCES invites (id),
    created_at        INTEGER NOT NULL,
    last_sign_in_at   INTEGER
) STRICT, WITHOUT ROWID;

-- Sessions. One that ended stays for a while, so that an old refresh token is still recognised and the operator can see why it ended.
CREATE TABLE sessions (
    id           BLOB PRIMARY KEY CHECK (length(id) = 16),
    user_id      BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- How often the refresh token was replaced. The token itself is nowhere: it is computed from id, generation, nonce and the key file.
    generation   INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0),
    nonce        BLOB NOT NULL CHECK (length(nonce) = 16),
    -- When the last eight replacements happened, newest first, 8 bytes each, big-endian: for the grace of refresh tokens.
    rotations    BLOB NOT NULL DEFAULT x'',
    -- How it began, as in the `amr` of access tokens.
    method       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    -- The earlier of the idle and the absolute end.
    expires_at   INTEGER NOT NULL,
    -- When and why it ended before that.
    ended_at     INTEGER,
    ended_because TEXT CHECK ((ended_because IS NULL) = (ended_at IS NULL)),
    address      TEXT,
    user_agent   TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id);
