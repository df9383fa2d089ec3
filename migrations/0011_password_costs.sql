-- At which costs the stored passwords are hashed, and how many accounts have each: a sign-in under a name without a password does the work of one of them,
-- or its time would tell such names apart after the configured cost was changed.

-- The cost as it stands in the PHC string, such as `m=19456,t=2,p=1`; NULL without a password.
ALTER TABLE users ADD COLUMN password_cost TEXT GENERATED ALWAYS AS (
    CASE WHEN password_hash GLOB '$argon2id$v=19$*$*$*'
         THEN substr(password_hash, 16, instr(substr(password_hash, 16), '$') - 1) END) VIRTUAL;

CREATE TABLE password_costs (
    cost     TEXT PRIMARY KEY,
    accounts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO password_costs (cost, accounts)
SELECT password_cost, count(*) FROM users WHERE password_cost IS NOT NULL GROUP BY password_cost;

-- Triggers, because they cannot be forgotten wherever a password is written or an account goes.
CREATE TRIGGER password_cost_of_new_user AFTER INSERT ON users WHEN NEW.password_cost IS NOT NULL BEGIN
    INSERT INTO password_costs (cost, accounts) VALUES (NEW.password_cost, 1) ON CONFLICT (cost) DO UPDATE SET accounts = accounts + 1;
END;

CREATE TRIGGER password_cost_of_changed_user AFTER UPDATE OF password_hash ON users WHEN OLD.password_cost IS NOT NEW.password_cost BEGIN
    UPDATE password_costs SET accounts = accounts - 1 WHERE cost = OLD.password_cost;
    INSERT INTO password_costs (cost, accounts) SELECT NEW.password_cost, 1 WHERE NEW.password_cost IS NOT NULL
        ON CONFLICT (cost) DO UPDATE SET accounts = accounts + 1;
    DELETE FROM password_costs WHERE accounts < 1;
END;

CREATE TRIGGER password_cost_of_deleted_user AFTER DELETE ON users WHEN OLD.password_cost IS NOT NULL BEGIN
    UPDATE password_costs SET accounts = accounts - 1 WHERE cost = OLD.password_cost;
    DELETE FROM password_costs WHERE accounts < 1;
END;
