-- Wrong passwords in a row, so that the next guess has to wait; a restart must not forget them.
--
-- A run is forgotten a day after its last failure. Strangers make up names and have addresses without end, so only the last 100 000 rows of each kind are
-- kept: `number` says which these are without counting.
CREATE TABLE password_failures (
    -- 0 for a name that no account has. Such names are counted alike, so that nothing tells the two apart, but they push only each other out.
    is_account     INTEGER NOT NULL CHECK (is_account IN (0, 1)),
    -- The next one of its kind at each failure, so that the rows stand in the order of their last failure.
    number         INTEGER NOT NULL,
    -- HMAC of the account or of the name under the key file: what strangers type is not collected.
    guessed        BLOB NOT NULL CHECK (length(guessed) = 16),
    -- HMAC of account or name and network; empty for the run over all networks.
    network        BLOB NOT NULL CHECK (length(network) IN (0, 16)),
    length         INTEGER NOT NULL CHECK (length >= 1),
    last_failed_at INTEGER NOT NULL,
    PRIMARY KEY (is_account, number),
    UNIQUE (guessed, network)
) STRICT, WITHOUT ROWID;
