-- What is needed to tell the true cause of a refusal.

-- A row that counts happenings is one for each account or name too, so that the owner's story can be told.
DROP INDEX audit_events_by_window;
CREATE UNIQUE INDEX audit_events_by_window
    ON audit_events (window_at, event, ifnull(refused_because, ''), ifnull(address, ''), ifnull(user_id, x''), ifnull(name_digest, x''))
    WHERE window_at IS NOT NULL;

-- The code that the present one replaced. It is never right; it only tells whoever typed the older of two mails from whoever guessed.
ALTER TABLE one_time_codes ADD COLUMN older_code_mac BLOB CHECK (length(older_code_mac) = 32);
ALTER TABLE one_time_codes ADD COLUMN older_created_at INTEGER;
