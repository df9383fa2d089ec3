-- What strangers can cause for addresses that have no account is bounded, as wrong passwords are (`password_failures`): the newest 100 000 rows of each
-- table are kept, and rows of accounts are never pushed out by others.

-- The next one of its table at each code or mail. (Rows from before have 0: they are the first to go.)
ALTER TABLE one_time_codes ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
CREATE INDEX one_time_codes_of_nobody ON one_time_codes (number) WHERE user_id IS NULL;

ALTER TABLE mail_budgets ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
-- Whether an account has, or had when mail was asked for, the address. What is from before may be an account's; it goes a day after its last mail.
ALTER TABLE mail_budgets ADD COLUMN is_account INTEGER NOT NULL DEFAULT 1 CHECK (is_account IN (0, 1));
CREATE INDEX mail_budgets_of_nobody ON mail_budgets (number) WHERE is_account = 0;

-- Of links that are nobody's one row for each purpose is enough: nothing ever asks for them.
DELETE FROM link_tokens WHERE user_id IS NULL;

-- So that what is over is found without reading the rest.
CREATE INDEX one_time_codes_by_end ON one_time_codes (expires_at);
CREATE INDEX mail_budgets_by_last ON mail_budgets (last_sent_at);
CREATE INDEX link_tokens_by_end ON link_tokens (expires_at);
CREATE INDEX outbox_by_end ON outbox (expires_at);
