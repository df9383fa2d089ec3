-- What came of the tries of a mail, and what several deliveries at once need to know of it before they open it.

-- The keyed digest of the recipient's domain: of the mails to one domain only a few are on their way at once. NULL for mail from before.
ALTER TABLE outbox ADD COLUMN domain_digest INTEGER;
-- 1 for what expires within minutes: it goes first.
ALTER TABLE outbox ADD COLUMN is_urgent INTEGER NOT NULL DEFAULT 0 CHECK (is_urgent IN (0, 1));
-- Whether the mail server refused the recipient for good. Such a mail is tried again only when the operator asks.
ALTER TABLE outbox ADD COLUMN is_refused INTEGER NOT NULL DEFAULT 0 CHECK (is_refused IN (0, 1));
-- How often the mail server got the whole mail and did not say what it did with it: each time the recipient may have got it.
ALTER TABLE outbox ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
-- What the operator can do about `last_error`, if it is known.
ALTER TABLE outbox ADD COLUMN last_hint TEXT;

-- What is due, with what decides whether it can begin: rows that have to wait are passed over without being read.
DROP INDEX outbox_by_next_attempt;
CREATE INDEX outbox_by_due ON outbox (is_urgent, next_attempt_at, expires_at, domain_digest);
