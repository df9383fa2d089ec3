-- What was mailed to an account is void when its address changes or it is suspended, and so is what still waits to be mailed.

-- Whose link or code the mail carries: it is dropped with them. NULL for a mere notice, which goes out all the same, and for mail to nobody's account.
ALTER TABLE outbox ADD COLUMN user_id BLOB REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX outbox_by_user ON outbox (user_id) WHERE user_id IS NOT NULL;

-- Links have such an index already (`UNIQUE (user_id, purpose)`).
CREATE INDEX one_time_codes_by_user ON one_time_codes (user_id) WHERE user_id IS NOT NULL;
