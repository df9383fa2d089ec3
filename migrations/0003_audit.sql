-- The audit log: who did what when, and why it was refused.

-- A row is written in the transaction it speaks of. What strangers cause without limit is counted in rows that many share (`window_at`).
CREATE TABLE audit_events (
    -- The order in which things were committed; never given twice, so that a reader can go on behind the last row it saw.
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    at                 INTEGER NOT NULL,
    event              TEXT NOT NULL,
    -- NULL: it was done. The reason is finer than what the client was told.
    refused_because    TEXT,
    -- No foreign key: what happened to an account outlives it, and so does the name that it had then.
    user_id            BLOB CHECK (length(user_id) = 16),
    username           TEXT,
    -- HMAC of a name or an address under the key file. A name that is no account's is kept in this form only: people type passwords there.
    name_digest        BLOB CHECK (length(name_digest) = 32),
    session_id         BLOB CHECK (length(session_id) = 16),
    detail             TEXT,
    -- Whoever did it over HTTP; the trace id is the one of the answer and of the log lines.
    address            TEXT,
    user_agent         TEXT,
    trace_id           BLOB CHECK (length(trace_id) = 16),
    -- Or whoever ran a command, NULL for HTTP.
    operator_uid       INTEGER,
    operator_sudo_user TEXT,
    operator_command   TEXT CHECK ((operator_command IS NULL) = (operator_uid IS NULL)),
    -- How often it happened; more than once only in a row that stands for a span of time.
    times              INTEGER NOT NULL DEFAULT 1,
    -- The beginning of that span; NULL for a row of its own.
    window_at          INTEGER
) STRICT;

-- One row for each span, event, reason and address.
CREATE UNIQUE INDEX audit_events_by_window
    ON audit_events (window_at, event, ifnull(refused_because, ''), ifnull(address, '')) WHERE window_at IS NOT NULL;
