-- An account's sessions that may live are found without reading those that have ended, and the oldest of these without reading the rest.

-- Neither index has a column that a refresh changes, so that a refresh costs what it did.
CREATE INDEX sessions_unended ON sessions (user_id) WHERE ended_at IS NULL;

-- Also how an account's sessions are found when it is deleted.
DROP INDEX sessions_by_user;
CREATE INDEX sessions_by_user ON sessions (user_id, ended_at);

-- Statistics of a small table would make SQLite read a large one as a whole later. Without them the plan of a statement follows from the schema alone.
DROP TABLE IF EXISTS sqlite_stat1;
DROP TABLE IF EXISTS sqlite_stat4;
