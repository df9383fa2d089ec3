-- The schema as migrations 1 to 15 of SQLite leave it: no database of PostgreSQL is older. The same numbers have the same columns in both.
--
-- The reason of each table and column stands in `migrations/`. Here is only what differs. Texts compare byte by byte (COLLATE "C"), as in SQLite.

CREATE TABLE settings (
    name       TEXT COLLATE "C" PRIMARY KEY,
    value      TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid            TEXT COLLATE "C" PRIMARY KEY,
    algorithm      TEXT COLLATE "C" NOT NULL,
    sealed_private BYTEA NOT NULL,
    created_at     BIGINT NOT NULL,
    active_at      BIGINT NOT NULL,
    retired_at     BIGINT
);

CREATE TABLE invites (
    id          BYTEA PRIMARY KEY CHECK (length(id) = 16),
    code_digest BYTEA NOT NULL UNIQUE CHECK (length(code_digest) = 32),
    sealed_code BYTEA NOT NULL,
    uses        BIGINT NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND max_uses),
    max_uses    BIGINT NOT NULL CHECK (max_uses >= 1),
    note        TEXT COLLATE "C",
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT,
    revoked_at  BIGINT
);

CREATE TABLE users (
    id                BYTEA PRIMARY KEY CHECK (length(id) = 16),
    username          TEXT COLLATE "C" NOT NULL,
    username_key      TEXT COLLATE "C" NOT NULL UNIQUE,
    email             TEXT COLLATE "C" NOT NULL,
    email_key         TEXT COLLATE "C" NOT NULL UNIQUE,
    email_verified_at BIGINT,
    password_hash     TEXT COLLATE "C",
    status            TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'suspended')),
    locale            TEXT COLLATE "C" NOT NULL,
    timezone          TEXT COLLATE "C",
    invite_id         BYTEA REFERENCES invites (id),
    created_at        BIGINT NOT NULL,
    last_sign_in_at   BIGINT,
    password_cost     TEXT COLLATE "C" GENERATED ALWAYS AS (
        substring(password_hash FROM '^\$argon2id\$v=19\$([^$]*)\$.*\$')) STORED,
    email_since       BIGINT
);

CREATE TABLE sessions (
    id            BYTEA PRIMARY KEY CHECK (length(id) = 16),
    user_id       BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation    BIGINT NOT NULL DEFAULT 0 CHECK (generation >= 0),
    nonce         BYTEA NOT NULL CHECK (length(nonce) = 16),
    rotations     BYTEA NOT NULL DEFAULT '',
    method        TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    ended_at      BIGINT,
    ended_because TEXT COLLATE "C" CHECK ((ended_because IS NULL) = (ended_at IS NULL)),
    address       TEXT COLLATE "C",
    user_agent    TEXT COLLATE "C",
    presented     BIGINT CHECK (presented >= 0),
    moved_at      BIGINT NOT NULL DEFAULT 0,
    moved_address TEXT COLLATE "C",
    moved_agent   TEXT COLLATE "C"
);
CREATE INDEX sessions_unended ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_user ON sessions (user_id, ended_at);

CREATE TABLE outbox (
    id              BYTEA PRIMARY KEY CHECK (length(id) = 16),
    kind            TEXT COLLATE "C" NOT NULL,
    sealed_mail     BYTEA NOT NULL,
    message_id      TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    last_error      TEXT COLLATE "C",
    user_id         BYTEA REFERENCES users (id) ON DELETE CASCADE,
    domain_digest   BIGINT,
    is_urgent       BIGINT NOT NULL DEFAULT 0 CHECK (is_urgent IN (0, 1)),
    is_refused      BIGINT NOT NULL DEFAULT 0 CHECK (is_refused IN (0, 1)),
    unanswered      BIGINT NOT NULL DEFAULT 0,
    last_hint       TEXT COLLATE "C"
);
CREATE INDEX outbox_by_user ON outbox (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX outbox_by_end ON outbox (expires_at);
CREATE INDEX outbox_by_due ON outbox (is_urgent, next_attempt_at, expires_at, domain_digest);

CREATE TABLE link_tokens (
    digest     BYTEA PRIMARY KEY CHECK (length(digest) = 32),
    purpose    TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'set_password')),
    user_id    BYTEA REFERENCES users (id) ON DELETE CASCADE,
    email_key  TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    UNIQUE (user_id, purpose)
);
CREATE INDEX link_tokens_by_end ON link_tokens (expires_at);

CREATE TABLE one_time_codes (
    address_digest   BYTEA PRIMARY KEY CHECK (length(address_digest) = 32),
    user_id          BYTEA REFERENCES users (id) ON DELETE CASCADE,
    code_mac         BYTEA NOT NULL CHECK (length(code_mac) = 32),
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    attempts         BIGINT NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 5),
    used_at          BIGINT,
    failures         BIGINT NOT NULL DEFAULT 0,
    locked_until     BIGINT,
    older_code_mac   BYTEA CHECK (length(older_code_mac) = 32),
    older_created_at BIGINT,
    number           BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX one_time_codes_by_user ON one_time_codes (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX one_time_codes_of_nobody ON one_time_codes (number) WHERE user_id IS NULL;
CREATE INDEX one_time_codes_by_end ON one_time_codes (expires_at);

CREATE TABLE mail_budgets (
    address_digest BYTEA NOT NULL CHECK (length(address_digest) = 32),
    purpose        TEXT COLLATE "C" NOT NULL,
    sends          BYTEA NOT NULL,
    last_sent_at   BIGINT NOT NULL,
    number         BIGINT NOT NULL DEFAULT 0,
    is_account     BIGINT NOT NULL DEFAULT 1 CHECK (is_account IN (0, 1)),
    PRIMARY KEY (address_digest, purpose)
);
CREATE INDEX mail_budgets_of_nobody ON mail_budgets (number) WHERE is_account = 0;
CREATE INDEX mail_budgets_by_last ON mail_budgets (last_sent_at);

CREATE TABLE audit_events (
    id                 BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at                 BIGINT NOT NULL,
    event              TEXT COLLATE "C" NOT NULL,
    refused_because    TEXT COLLATE "C",
    user_id            BYTEA CHECK (length(user_id) = 16),
    username           TEXT COLLATE "C",
    name_digest        BYTEA CHECK (length(name_digest) = 32),
    session_id         BYTEA CHECK (length(session_id) = 16),
    detail             TEXT COLLATE "C",
    address            TEXT COLLATE "C",
    user_agent         TEXT COLLATE "C",
    trace_id           BYTEA CHECK (length(trace_id) = 16),
    operator_uid       BIGINT,
    operator_sudo_user TEXT COLLATE "C",
    operator_command   TEXT COLLATE "C" CHECK ((operator_command IS NULL) = (operator_uid IS NULL)),
    times              BIGINT NOT NULL DEFAULT 1,
    window_at          BIGINT
);
CREATE UNIQUE INDEX audit_events_by_window
    ON audit_events (window_at, event, coalesce(refused_because, ''), coalesce(address, ''), coalesce(user_id, ''), coalesce(name_digest, ''))
    WHERE window_at IS NOT NULL;
CREATE INDEX audit_events_repeated ON audit_events (session_id, at) WHERE event = 'refresh.repeated';
CREATE INDEX audit_events_by_user ON audit_events (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_username ON audit_events (lower(username)) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_name ON audit_events (name_digest) WHERE name_digest IS NOT NULL;

CREATE TABLE password_failures (
    is_account     BIGINT NOT NULL CHECK (is_account IN (0, 1)),
    number         BIGINT NOT NULL,
    guessed        BYTEA NOT NULL CHECK (length(guessed) = 16),
    network        BYTEA NOT NULL CHECK (length(network) IN (0, 16)),
    length         BIGINT NOT NULL CHECK (length >= 1),
    last_failed_at BIGINT NOT NULL,
    stretch        BIGINT NOT NULL DEFAULT 0,
    added          BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (is_account, number),
    UNIQUE (guessed, network)
);

CREATE TABLE audit_counts (
    is_account      BIGINT NOT NULL CHECK (is_account IN (0, 1)),
    number          BIGINT NOT NULL,
    subject         BYTEA NOT NULL CHECK (length(subject) IN (0, 16, 32)),
    username        TEXT COLLATE "C",
    event           TEXT COLLATE "C" NOT NULL,
    refused_because TEXT COLLATE "C" NOT NULL,
    times           BIGINT NOT NULL CHECK (times >= 1),
    first_at        BIGINT NOT NULL,
    last_at         BIGINT NOT NULL,
    last_network    TEXT COLLATE "C",
    unlisted        BIGINT,
    PRIMARY KEY (is_account, number),
    UNIQUE (subject, event, refused_because)
);
CREATE INDEX audit_counts_by_username ON audit_counts (lower(username)) WHERE is_account = 1;
CREATE INDEX audit_counts_unlisted ON audit_counts (last_at) WHERE unlisted IS NOT NULL;

CREATE TABLE failed_codes (
    is_account BIGINT NOT NULL CHECK (is_account IN (0, 1)),
    number     BIGINT NOT NULL,
    failed_at  BIGINT NOT NULL,
    network    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (is_account, number)
);
CREATE INDEX failed_codes_by_network ON failed_codes (is_account, network, failed_at);

CREATE TABLE email_changes (
    user_id    BYTEA PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    digest     BYTEA NOT NULL UNIQUE CHECK (length(digest) = 32),
    email      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX email_changes_by_end ON email_changes (expires_at);

CREATE TABLE email_undos (
    digest      BYTEA PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email       TEXT COLLATE "C" NOT NULL,
    email_key   TEXT COLLATE "C" NOT NULL,
    email_since BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX email_undos_by_user ON email_undos (user_id);
CREATE INDEX email_undos_by_address ON email_undos (email_key, expires_at);
CREATE INDEX email_undos_by_end ON email_undos (expires_at);

CREATE TABLE former_addresses (
    user_id   BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email_key TEXT COLLATE "C" NOT NULL,
    left_at   BIGINT NOT NULL,
    PRIMARY KEY (user_id, email_key)
);
CREATE INDEX former_addresses_by_end ON former_addresses (left_at);

CREATE TABLE password_costs (
    cost     TEXT COLLATE "C" PRIMARY KEY,
    accounts BIGINT NOT NULL
);

-- One function for the three triggers that SQLite has: NEW is NULL after a DELETE, and OLD after an INSERT.
CREATE FUNCTION count_password_cost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.password_cost IS NOT DISTINCT FROM NEW.password_cost THEN
        RETURN NULL;
    END IF;
    UPDATE password_costs SET accounts = accounts - 1 WHERE cost = OLD.password_cost;
    IF NEW.password_cost IS NOT NULL THEN
        INSERT INTO password_costs (cost, accounts) VALUES (NEW.password_cost, 1)
            ON CONFLICT (cost) DO UPDATE SET accounts = password_costs.accounts + 1;
    END IF;
    DELETE FROM password_costs WHERE accounts < 1;
    RETURN NULL;
END;
$$;

CREATE TRIGGER password_cost_of_user AFTER INSERT OR DELETE OR UPDATE OF password_hash ON users
    FOR EACH ROW EXECUTE FUNCTION count_password_cost();

-- A number for each transaction that changes the signing keys, drawn in it: a process that finds another number than before reads the keys again.
CREATE SEQUENCE key_changes;
