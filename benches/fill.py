"""Fills a database of arkloop with accounts, sessions, codes and an audit log, as after a year with many users.

The rows have the shapes and frequencies that a server writes: 2.7 sessions and 2 rows of the audit log for each account. A part of them is out of date, so
that the first sweep of a server has work. The server must not run, and invites are not made here, because their codes are sealed under the key file.
"""

import random
import sqlite3
import time

DAY = 24 * 3600 * 1000
WORDS = "amber basil cedar delta ember flint grove heath iris juniper kestrel linden maple nettle onyx pine quartz raven sage tulip umber violet willow yarrow".split()
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"]
# What an account leaves in the audit log: (event, reason, how often of a hundred).
EVENTS = [("sign_in.password", None, 55), ("register", None, 10), ("session.ended", None, 8), ("sign_in.code", None, 5),
          ("sign_in.password", "wrong_password", 10), ("password.reset_sent", None, 4), ("code.sent", None, 4), ("sign_out", None, 4)]
BATCH = 50_000


class Filler:
    def __init__(self, path, accounts):
        self.random, self.accounts = random.Random(accounts), accounts
        self.now = int(time.time() * 1000)
        # No rollback journal: a database that was filled in part is thrown away.
        self.database = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -1000000"):
            self.database.execute(f"PRAGMA {setting}")

    def id(self, at):
        """A UUID of version 7."""
        rest = bytearray(self.random.randbytes(10))
        rest[0], rest[2] = 0x70 | rest[0] & 0x0f, 0x80 | rest[2] & 0x3f
        return at.to_bytes(6, "big") + bytes(rest)

    def address(self):
        return f"203.0.{self.random.randrange(256)}.{self.random.randrange(256)}"

    def between(self, earliest, latest):
        """A time between so many days ago and so many days ago."""
        return self.now - int(self.random.uniform(latest, earliest) * DAY)

    def spread(self, number, earliest, latest):
        """So many times in their order, evenly between so many days ago and so many days ago."""
        return (self.now - int((earliest - (earliest - latest) * at / number) * DAY) for at in range(number))

    def insert(self, table, columns, rows):
        names, values = ", ".join(columns), ", ".join("?" * len(columns))
        self.database.execute("BEGIN")
        self.database.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)
        self.database.execute("COMMIT")

    def users(self, password_hash):
        self.known = []
        # Every number once, in no order: names of real accounts do not come in the order of the alphabet.
        step = 2_654_435_761

        def rows():
            for at, created_at in enumerate(self.spread(self.accounts, 400, 100)):
                number = at * step % 2 ** 32
                name, id = f"{WORDS[number % len(WORDS)]}.{number}", self.id(created_at)
                self.known.append((id, name))
                email, verified_at = f"{name}@example.org", created_at + 60_000 if number % 10 else None
                status = "suspended" if number % 500 == 0 else "active"
                yield (id, name, name, email, email, verified_at, password_hash, status, "en", created_at, self.between(60, 0))
        self.insert("users", ["id", "username", "username_key", "email", "email_key", "email_verified_at", "password_hash", "status", "locale",
                              "created_at", "last_sign_in_at"], rows())

    def sessions(self, number):
        """Sessions of the last 60 days, which last up to 30: a quarter is over for more than 30 days, a half for less, and a quarter lives."""
        def rows():
            for at in self.spread(number, 60, 0):
                over_at, address, agent = at + int(self.random.random() * 30 * DAY), self.address(), self.random.choice(AGENTS)
                used_at, ended_at, because = min(over_at, self.now) - int(self.random.random() * DAY), None, None
                expires_at = min(at + 30 * DAY, used_at + 14 * DAY)
                if over_at < self.now:
                    if self.random.random() < 0.6:
                        ended_at, because = over_at, self.random.choice(["signed_out", "replaced", "ended_by_owner"])
                    else:
                        expires_at = over_at
                used_at = max(at, used_at)
                user_id = self.random.choice(self.known)[0]
                generation = self.random.randrange(1, 200)
                rotation = (generation - 1).to_bytes(4, "big") + used_at.to_bytes(8, "big")
                yield (self.id(at), user_id, generation, generation - 1, self.random.randbytes(16), rotation * 8, "pwd", at, used_at, expires_at,
                       ended_at, because, address, agent, used_at, address, agent)
        self.insert("sessions", ["id", "user_id", "generation", "presented", "nonce", "rotations", "method", "created_at", "last_used_at", "expires_at",
                                 "ended_at", "ended_because", "address", "user_agent", "moved_at", "moved_address", "moved_agent"], rows())

    def audit(self, number):
        kinds = self.random.choices(EVENTS, [weight for _, _, weight in EVENTS], k=1000)

        def rows():
            for row, at in enumerate(self.spread(number, 100, 0)):
                id, name = self.random.choice(self.known)
                event, reason, _ = kinds[row % 1000]
                trace = self.random.randbytes(16)
                if row % 20 == 0:
                    # Strangers' guesses, and requests above a limit: one row for an address and a minute.
                    yield (at, "sign_in.password", "unknown_account", None, None, self.random.randbytes(32), self.address(), None, trace, 3, at // 60_000 * 60_000)
                elif row % 50 == 1:
                    yield (at, "throttled", "address_limit", None, None, None, self.address(), None, trace, 40, at // 60_000 * 60_000)
                else:
                    yield (at, event, reason, id, name, None, self.address(), AGENTS[row % 2], trace, 1, None)
        self.insert("audit_events", ["at", "event", "refused_because", "user_id", "username", "name_digest", "address", "user_agent", "trace_id", "times",
                                     "window_at"], rows())

    def counts(self):
        """What is counted in place: wrong passwords of accounts and of names without one."""
        def count(is_account, number, last_at, subject, name):
            return (is_account, number, subject, name, "sign_in.password", "wrong_password" if is_account else "unknown_account",
                    self.random.randrange(1, 50), last_at - DAY, last_at, "203.0.113.0", None if number % 3 else number)
        # Numbers come in the order of the last change.
        counted = self.known[::20]
        accounts = [count(1, number, last_at, *who) for number, (last_at, who) in enumerate(zip(self.spread(len(counted), 100, 0), counted), 1)]
        most = min(self.accounts // 10, 10_000)
        names = [count(0, number, last_at, self.random.randbytes(32), None) for number, last_at in enumerate(self.spread(most, 100, 0), 1)]
        self.insert("audit_counts", ["is_account", "number", "subject", "username", "event", "refused_because", "times", "first_at", "last_at",
                                     "last_network", "unlisted"], accounts + names)
        failures = [(1, number, self.random.randbytes(16), b"", 3, at) for number, at in enumerate(self.spread(self.accounts // 50, 3, 0), 1)]
        self.insert("password_failures", ["is_account", "number", "guessed", "network", "length", "last_failed_at"], failures)

    def mailed(self):
        """Codes and links; half of them are out of date."""
        digest = lambda: self.random.randbytes(32)
        def ends():
            created_at = self.between(3, 0)
            return created_at, created_at + 600_000
        codes = [(digest(), id, digest(), *ends(), 0) for id, _ in self.known[1::33]]
        codes += [(digest(), None, digest(), *ends(), number) for number in range(1, min(self.accounts // 33, 100_000) + 1)]
        self.insert("one_time_codes", ["address_digest", "user_id", "code_mac", "created_at", "expires_at", "number"], codes)
        links = [(digest(), "reset_password", id, f"{name}@example.org", *ends()) for id, name in self.known[2::20]]
        self.insert("link_tokens", ["digest", "purpose", "user_id", "email_key", "created_at", "expires_at"], links)
        budgets = [(digest(), "otp", at.to_bytes(8, "big"), at) for at in (self.between(3, 0) for _ in self.known[3::10])]
        self.insert("mail_budgets", ["address_digest", "purpose", "sends", "last_sent_at"], budgets)


def fill(path, accounts, say=lambda text: None):
    """Fills the database at `path`; its one account has the password of all."""
    began = time.monotonic()
    filler = Filler(path, accounts)
    [password_hash] = filler.database.execute("SELECT password_hash FROM users").fetchone()
    for what, step in [("accounts", lambda: filler.users(password_hash)),
                       ("sessions", lambda: filler.sessions(accounts * 8 // 3)), ("audit log", lambda: filler.audit(accounts * 2)),
                       ("counts", filler.counts), ("codes and links", filler.mailed)]:
        step()
        say(f"{time.monotonic() - began:6.1f} s  {what}")
    filler.database.execute("PRAGMA locking_mode = NORMAL")
    filler.database.execute("PRAGMA journal_mode = WAL")
    filler.database.close()
