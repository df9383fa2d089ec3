-- Mail that waits to be sent, and the codes and links in it.

-- The outbox: a row is written in the transaction that causes the mail, so that neither happens without the other. One worker of the one server sends
-- what is due; a row is deleted when it was sent or has expired.
CREATE TABLE outbox (
    id              BLOB PRIMARY KEY CHECK (length(id) = 16),
    kind            TEXT NOT NULL,
    -- Recipient, subject and both bodies, sealed under the key file: a copy of the database reveals no code and no link.
    sealed_mail     BLOB NOT NULL,
    -- The same on every try, so that a mail client can drop a duplicate.
    message_id      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    -- From then on the mail is of no use to anybody and is dropped.
    expires_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- What the mail server said last.
    last_error      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at);

-- Links: at most one of each purpose for an account, the newest.
CREATE TABLE link_tokens (
    -- SHA-256 of 32 random bytes: there is nothing to guess, so it needs no key.
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    purpose    TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'set_password')),
    -- NULL for a link that was never mailed, because the address has no account: so that asking costs the same.
    user_id    BLOB REFERENCES users (id) ON DELETE CASCADE,
    -- The address it was mailed to; it is void once the account has another.
    email_key  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    UNIQUE (user_id, purpose)
) STRICT, WITHOUT ROWID;

-- One-time codes, one for an address, the newest. An address that has no account gets a row too, whose code nobody knows, so that nothing tells the two
-- apart: neither the work done nor the limits reached.
CREATE TABLE one_time_codes (
    -- HMAC of the address under the key file: strangers' addresses are not collected.
    address_digest BLOB PRIMARY KEY CHECK (length(address_digest) = 32),
    -- NULL for an address without an account.
    user_id        BLOB REFERENCES users (id) ON DELETE CASCADE,
    -- HMAC of address, time of making and code under the key file: six digits alone would be guessed in a moment.
    code_mac       BLOB NOT NULL CHECK (length(code_mac) = 32),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    -- Comparisons of this code; counted before each.
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 5),
    used_at        INTEGER,
    -- Comparisons in a row that failed, over all codes of the address.
    failures       INTEGER NOT NULL DEFAULT 0,
    locked_until   INTEGER
) STRICT, WITHOUT ROWID;

-- When mail was asked for last, by address and purpose: the limits that a restart must not forget.
CREATE TABLE mail_budgets (
    address_digest BLOB NOT NULL CHECK (length(address_digest) = 32),
    purpose        TEXT NOT NULL,
    -- The last ten times, newest first, 8 bytes each, big-endian.
    sends          BLOB NOT NULL,
    last_sent_at   INTEGER NOT NULL,
    PRIMARY KEY (address_digest, purpose)
) STRICT, WITHOUT ROWID;
