-- What tells a lost answer from a copied refresh token.

-- The newest generation that was ever presented; NULL while none was. A current token that was never presented may never have been received.
ALTER TABLE sessions ADD COLUMN presented INTEGER CHECK (presented >= 0);
-- When the current generation was made, and who asked for it. Refresh tokens are judged by the network of the address; wrong passwords by the whole
-- address. `address` and `user_agent` are those of the sign-in from now on.
ALTER TABLE sessions ADD COLUMN moved_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN moved_address TEXT;
ALTER TABLE sessions ADD COLUMN moved_agent TEXT;

-- `rotations` says from now on which generations were replaced last and the newest time at which each was, newest first, 4 and 8 bytes each, big-endian.
-- A generation that was skipped is not in it. Before, it had only the times, of one generation after the other.
UPDATE sessions SET
    presented = CASE WHEN generation > 0 THEN generation - 1 END,
    moved_at = last_used_at,
    moved_address = address,
    moved_agent = user_agent,
    rotations = substr(unhex(printf('%08X%s%08X%s%08X%s%08X%s%08X%s%08X%s%08X%s%08X%s',
            generation - 1, hex(substr(rotations, 1, 8)), generation - 2, hex(substr(rotations, 9, 8)),
            generation - 3, hex(substr(rotations, 17, 8)), generation - 4, hex(substr(rotations, 25, 8)),
            generation - 5, hex(substr(rotations, 33, 8)), generation - 6, hex(substr(rotations, 41, 8)),
            generation - 7, hex(substr(rotations, 49, 8)), generation - 8, hex(substr(rotations, 57, 8)))),
        1, length(rotations) / 8 * 12);

-- Refresh tokens that come from elsewhere within the grace are counted in one row for each session and hour.
CREATE INDEX audit_events_repeated ON audit_events (session_id, at) WHERE event = 'refresh.repeated';
