-- Wrong one-time codes of the last hour over all accounts. More than `otp.spray_threshold` of them slow the mailing of codes down for everybody; a restart
-- must not forget that.
--
-- One more than the threshold is kept, so that the table is bounded: when the oldest of so many is younger than an hour, there were more.
CREATE TABLE failed_codes (
    -- 0 for an address that no account has: counted alike, so that nothing tells the two apart, and apart, since it slows nothing down.
    is_account INTEGER NOT NULL CHECK (is_account IN (0, 1)),
    -- The next one of its kind at each failure.
    number     INTEGER NOT NULL,
    failed_at  INTEGER NOT NULL,
    -- From where: one IPv4 address or an IPv6 /48, empty if unknown. Each adds only so many an hour.
    network    TEXT NOT NULL,
    PRIMARY KEY (is_account, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_codes_by_network ON failed_codes (is_account, network, failed_at);
