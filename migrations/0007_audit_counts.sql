-- What happened at an account is counted in place, beside the rows of the log, so that no noise hides it.

-- Rows of the log have budgets, which a crowd can spend. So everything that takes from one is also counted here: one row for each account and kind of
-- event, updated in the same transaction. Names without an account are counted alike, so that the work does not tell the two apart; strangers make up
-- names without end, so only the rows of these that changed last are kept. `number` says which these are without counting.
CREATE TABLE audit_counts (
    -- 0 for a name that no account has, and for what was done under no name.
    is_account      INTEGER NOT NULL CHECK (is_account IN (0, 1)),
    -- The next one of its sort at each change, so that the rows stand in the order of their last change, and a reader can go on behind it.
    number          INTEGER NOT NULL,
    -- The id of the account, or the keyed digest of the name, or nothing. No foreign key: what happened to an account outlives it.
    subject         BLOB NOT NULL CHECK (length(subject) IN (0, 16, 32)),
    -- The name that the account had at the last change.
    username        TEXT,
    event           TEXT NOT NULL,
    -- Empty: it was done.
    refused_because TEXT NOT NULL,
    times           INTEGER NOT NULL CHECK (times >= 1),
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    -- The network of the last one.
    last_network    TEXT,
    -- The number that the row had when something was last counted that has no row of its own in the log; NULL if all have one.
    unlisted        INTEGER,
    PRIMARY KEY (is_account, number),
    UNIQUE (subject, event, refused_because)
) STRICT, WITHOUT ROWID;
