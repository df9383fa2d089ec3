"""Tries what two servers over one PostgreSQL must agree on; see .ci/nodes."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

from nodes_run import PASSWORD, MailServer, Nginx, Node, at_once, free_port, wait_until

POSTGRES, ARKLOOP, WORK, URL = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
# How long another server may take to go on with the mail of one that was killed, and everything to recover from a restart of the database.
HAND_OVER_SECONDS, RECOVERY_SECONDS = 5, 10
# The lock of the server that sweeps.
SWEEP_LOCK = 7020105236431466501


def sql(text, database="arkloop"):
    done = subprocess.run(["psql", "-XAtq", url_of(database), "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def url_of(database):
    return URL.replace("/postgres?", f"/{database}?")


def registration(name, invite=None):
    body = {"login": name, "password": PASSWORD, "email": f"{name}@example.org"}
    return body | ({"invite_code": invite} if invite else {})


def register(node, name):
    answer = node.ask("POST", "/v1/auth/register", registration(name))
    assert answer.status == 201, answer
    return answer


def login(node, name, password=PASSWORD, **named):
    return node.ask("POST", "/v1/auth/login", {"login": name, "password": password}, **named)


def me(node, token):
    return node.ask("GET", "/v1/me", token=token)


def statuses(answers):
    return {str(kind): sum(str(getattr(answer, "status", answer)) == str(kind) for answer in answers)
            for kind in {getattr(answer, "status", answer) for answer in answers}}


def first_starts(variables):
    """Two first starts at once: with two new key files one is refused and leaves none; with one key file for both, both go on."""
    sql("CREATE DATABASE first", "postgres")
    nodes = [Node(f"first-{number}", ARKLOOP, WORK, url_of("first"), variables) for number in range(2)]
    for node in nodes:
        node.begin()
    wait_until(lambda: any(node.process.poll() is not None for node in nodes), "the end of one of two first starts")
    over = [node for node in nodes if node.process.poll() is not None]
    assert len(over) == 1, [node.log.read_text() for node in nodes]
    assert over[0].process.returncode != 0 and "another key file" in over[0].log.read_text(), over[0].log.read_text()
    left = [path.name for path in (over[0].directory / "data").iterdir() if "key" in path.name]
    assert not left, f"the refused start left {left}"
    other = next(node for node in nodes if node is not over[0])
    wait_until(other.is_up, "the other first start")
    assert int(sql("SELECT count(*) FROM signing_keys", "first")) == 1
    # A node with a key file of its own stays refused, and changes nothing.
    refused = over[0].run("user", "list")
    assert refused.returncode != 0, refused
    assert other.stop() == 0

    sql("CREATE DATABASE second", "postgres")
    key = WORK / "second.key"
    shutil.copy2(other.directory / "data/arkloop.key", key)
    nodes = [Node(f"second-{number}", ARKLOOP, WORK, url_of("second"), variables | {"ARKLOOP_KEY_FILE": str(key)}) for number in range(2)]
    made = at_once(2, lambda number: nodes[number].run("init", "--yes"))
    assert [done.returncode for done in made] == [0, 0], made
    for node in nodes:
        node.start()
    keys = [json.loads(node.ask("GET", "/.well-known/jwks.json").text)["keys"] for node in nodes]
    assert keys[0] == keys[1] and len(keys[0]) == 1, keys
    assert [node.stop() for node in nodes] == [0, 0]
    print("first starts: one of two key files is refused and leaves nothing, one key file serves both")


def one_use(nginx, a, b):
    code = a.command("invite", "create")["code"]
    answers = at_once(200, lambda number: nginx.ask("POST", "/v1/auth/register", registration(f"rival{number}", code)))
    seen = statuses(answers)
    assert seen.get("201") == 1 and set(seen) <= {"201", "422"}, seen
    assert sql("SELECT count(*) FROM users") == "1" and sql("SELECT uses FROM invites") == "1"
    served = nginx.answered_by()
    assert len(served) == 2 and min(served.values()) > 50, served
    print(f"200 registrations on one single use: {seen}; answered by {served}")


def one_generation(nginx, a, b):
    cookie = register(a, "tabs").cookie()
    answers = at_once(50, lambda number: nginx.ask("POST", "/v1/auth/refresh", cookie=cookie))
    assert statuses(answers) == {"200": 50}, statuses(answers)
    cookies = {answer.cookie() for answer in answers}
    assert len(cookies) == 1 and cookies != {cookie}, cookies
    generation = sql("SELECT generation FROM sessions JOIN users ON users.id = user_id WHERE username = 'tabs'")
    assert generation == "1", generation
    print("50 refreshes of one token: one generation, equal cookies")


def seen_at_once(a, b):
    for number in range(20):
        here, there = (a, b) if number % 2 else (b, a)
        name = f"seen{number}"
        first = register(here, name)
        token = first.token()
        assert me(there, token).status == 200
        a.command("user", "suspend", name)
        for node in (there, here):
            assert me(node, token).status == 403, me(node, token)
        assert login(there, name).status == 403
        a.command("user", "reactivate", name)
        token = login(here, name).token()
        assert me(there, token).status == 200
        out = here.ask("POST", "/v1/auth/logout", token=token, cookie=login(here, name).cookie())
        assert out.status in (200, 204), out
        other = login(here, name)
        b.command("session", "revoke", "--user", name)
        assert me(there, other.token()).status == 401
        assert there.ask("POST", "/v1/auth/refresh", cookie=other.cookie()).status == 401
    for number in range(10):
        a.command("registration", "set", "invite_only")
        assert {node.ask("POST", "/v1/auth/register", registration("nobody")).status for node in (a, b)} == {422}
        b.command("registration", "set", "open")
        register((a, b)[number % 2], f"opened{number}")
    print("suspension, session ends and the registration mode: seen by the next request on the other server")


def limits_hold_over_both(a, b, mail):
    register(a, "guessed")
    nodes = [a, b]
    for number in range(5):
        assert login(nodes[number % 2], "guessed", "wrong" * 3, address="192.0.2.7").status == 401, number
    refused = [login(node, "guessed", "wrong" * 3, address="192.0.2.7").status for node in nodes]
    assert refused[0] == 429, refused
    address = "guessed@example.org"
    assert a.ask("POST", "/v1/auth/email/otp/send", {"email": address}).status in (200, 202, 204)
    code = next(filter(None, mail.code_to(address).groups()))
    wrong = str((int(code) + 1) % 10 ** len(code)).zfill(len(code))
    for number in range(5):
        answer = nodes[number % 2].ask("POST", "/v1/auth/email/otp/verify", {"email": address, "otp": wrong})
        assert answer.status == 422, answer
    answer = b.ask("POST", "/v1/auth/email/otp/verify", {"email": address, "otp": code})
    assert answer.status == 422, f"the sixth try of a code was taken: {answer}"
    print("wrong passwords and wrong codes: counted over both servers")


def keys_of_both(a, b):
    """Each server takes the tokens of a key that the other has just begun to sign with, also while strangers forge ids of keys."""
    session = register(a, "keys").cookie()
    over = threading.Event()
    forged = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6Im5vYm9keSJ9.e30.AAAA"

    def forge():
        while not over.is_set():
            assert me(b, forged).status == 401

    for with_strangers in (False, True):
        threads = [threading.Thread(target=forge) for _ in range(4 if with_strangers else 0)]
        for thread in threads:
            thread.start()
        for number in range(8):
            here, there = (a, b) if number % 2 else (b, a)
            old = login(a, "keys").token()
            assert me(b, old).status == 200
            here.command("key", "rotate", "--now")
            assert me(there, old).status == 401 and me(here, old).status == 401, "a token of a key that is gone was taken"
            new = login(here, "keys").token()
            assert me(there, new).status == 200, f"the key of {here.name} is unknown to {there.name}"
            new = login(there, "keys").token()
            assert me(here, new).status == 200
        over.set()
        for thread in threads:
            thread.join()
        over.clear()
    sets = [json.loads(node.ask("GET", "/.well-known/jwks.json").text) for node in (a, b)]
    assert sets[0] == sets[1]
    print("signing keys: each server takes the tokens of the other at once, and none of a key that is gone")
    return session


def one_mail_each(a, b, mail):
    """Every mail is sent once; when the server that sends is killed, stops or hangs, the other takes over."""
    names = [f"mailed{number}" for number in range(40)]
    answers = at_once(40, lambda number: (a, b)[number % 2].ask("POST", "/v1/auth/register", registration(names[number])))
    assert statuses(answers) == {"201": 40}, statuses(answers)
    wait_until(lambda: sql("SELECT count(*) FROM outbox") == "0", "sending 40 mails")
    assert [len(mail.to(f"{name}@example.org")) for name in names] == [1] * 40
    senders = {greeting for greeting, _, _ in mail.taken}
    assert len(senders) == 1, f"both servers send: {senders}"
    sender = a if senders == {"a.example.org"} else b
    other = b if sender is a else a
    before = len(mail.waiting)
    mail.gate.clear()
    assert other.ask("POST", "/v1/auth/email/otp/send", {"email": "mailed1@example.org"}).status < 300
    wait_until(lambda: len(mail.waiting) > before, "the beginning of a mail")
    # Longer than a server waits before it looks again.
    time.sleep(1.3)
    assert mail.waiting[before:] == [(f"{sender.name}.example.org", "mailed1@example.org")], mail.waiting[before:]
    sender.kill()
    took = wait_until(lambda: len(mail.waiting) > before + 1, "the other server to send", HAND_OVER_SECONDS)
    assert mail.waiting[-1] == (f"{other.name}.example.org", "mailed1@example.org"), mail.waiting[-1]
    mail.gate.set()
    wait_until(lambda: sql("SELECT count(*) FROM outbox") == "0", "sending the mail")
    assert len(mail.to("mailed1@example.org")) == 2, "its first mail, and the one with the code"
    sender.start()
    # An orderly stop hands over at once.
    assert other.stop() == 0
    assert sender.ask("POST", "/v1/auth/email/otp/send", {"email": "mailed2@example.org"}).status < 300
    handed = wait_until(lambda: len(mail.to("mailed2@example.org")) == 2, "the other server to send", HAND_OVER_SECONDS)
    other.start()
    # One that hangs loses the duty with its connection, and does not take it back when it goes on.
    sender.process.send_signal(signal.SIGSTOP)
    assert other.ask("POST", "/v1/auth/email/otp/send", {"email": "mailed3@example.org"}).status < 300
    hung = wait_until(lambda: len(mail.to("mailed3@example.org")) == 2, "the other server to send")
    sender.process.send_signal(signal.SIGCONT)
    assert sender.ask("POST", "/v1/auth/email/otp/send", {"email": "mailed4@example.org"}).status < 300
    wait_until(lambda: len(mail.to("mailed4@example.org")) == 2, "the other server to send")
    assert mail.to("mailed4@example.org")[1][0] == f"{other.name}.example.org", "the server that hung sends beside the other"
    print(f"40 mails sent once each by one server; another began {took:.1f} s after it was killed, {handed:.1f} s after it had stopped, and "
          f"{hung:.1f} s after it began to hang")


def one_sweeps(a, b):
    """A server sweeps at its start, unless another has the duty."""
    def plant():
        sql("INSERT INTO link_tokens (digest, purpose, email_key, created_at, expires_at)"
            " VALUES (decode(repeat('ab', 32), 'hex'), 'verify_email', 'x', 1, 1) ON CONFLICT DO NOTHING")

    def is_swept():
        return sql("SELECT count(*) FROM link_tokens WHERE expires_at = 1") == "0"

    held = subprocess.Popen(["psql", "-XAtq", url_of("arkloop")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    held.stdin.write(f"SELECT pg_advisory_lock({SWEEP_LOCK}), 'held';\n")
    held.stdin.flush()
    assert "held" in held.stdout.readline()
    plant()
    assert b.stop() == 0
    b.start()
    time.sleep(2)
    assert not is_swept(), "a server swept beside another"
    held.stdin.close()
    held.wait()
    assert b.stop() == 0
    b.start()
    wait_until(is_swept, "the sweep of a start")
    print("the sweep: not beside another, and by the next one that may")


def configurations_differ(a, variables):
    """A server with another configuration than those that run says so, and check too; paths and addresses may differ."""
    def finding():
        checked = a.run("--json", "check")
        return [found for found in json.loads(checked.stdout) if found["subject"] == "servers"]

    assert "another configuration" not in a.log.read_text() and not finding(), a.log.read_text()
    other = Node("other", ARKLOOP, WORK, url_of("arkloop"), variables | {"ARKLOOP_PASSWORD__MIN_LENGTH": "12"}).start()
    assert "runs with another configuration" in other.log.read_text(), other.log.read_text()
    assert [found["state"] for found in finding()] == ["warning"], finding()
    assert other.stop() == 0
    wait_until(lambda: not finding(), "the end of the finding")
    print("a server with another configuration: its log and check tell it")


def followed(a, b):
    """A command follows the audit log while both servers and other commands write: no row is missing, none comes twice."""
    follower = subprocess.Popen(
        [ARKLOOP, "audit", "--follow", "--event", "sign_in.password", "--after", sql("SELECT max(id) FROM audit_events")],
        cwd=a.directory, env=a.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    names = [f"followed{number}" for number in range(8)]
    for name in names:
        register(a, name)
    answers = at_once(8, lambda number: [login((a, b)[turn % 2], names[number]).status for turn in range(25)])
    assert answers == [[200] * 25] * 8, answers
    ids = []
    while len(ids) < 200:
        ids.append(json.loads(follower.stdout.readline())["id"])
    time.sleep(2)
    follower.send_signal(signal.SIGINT)
    rest = follower.communicate()[0].splitlines()
    assert not rest, rest
    wanted = sql("SELECT id FROM audit_events WHERE event = 'sign_in.password' AND username LIKE 'followed%' ORDER BY id").split()
    assert ids == [int(row) for row in wanted], "the rows that were followed are not those of the log"
    print("audit --follow: each of 200 rows of two servers once, in order")


def database_restarts(a, b, session):
    """While the database is away requests are told to come again, and no server needs a restart."""
    token = login(a, "keys").token()
    subprocess.run(["bash", POSTGRES, "stop", WORK / "pg"], check=True, capture_output=True)
    for node in (a, b):
        for answer in (me(node, token), login(node, "keys"), node.ask("POST", "/v1/auth/refresh", cookie=session)):
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0, answer
        assert node.ask("GET", "/healthz").status == 200
        wait_until(lambda node=node: node.ask("GET", "/readyz").status == 503, "noticing that the database is away")
    subprocess.run(["bash", POSTGRES, "again", WORK / "pg"], check=True, capture_output=True)
    took = [wait_until(lambda node=node: node.ask("GET", "/readyz").status == 200, "recovery", RECOVERY_SECONDS) for node in (a, b)]
    for node in (a, b):
        wait_until(lambda node=node: me(node, token).status == 200, "recovery of the readers", RECOVERY_SECONDS)
        assert login(node, "keys").status == 200
    print(f"a restart of the database: 503 with Retry-After meanwhile, ready again after {max(took):.1f} s")


def main():
    mail = MailServer()
    key = WORK / "arkloop.key"
    port = free_port()
    limits = {f"ARKLOOP_RATE_LIMIT__{name}": "1000000/1m" for name in ("LOGIN", "REGISTER", "REFRESH", "OTHER", "OTP_SEND", "OTP_VERIFY")}
    variables = limits | {
        "ARKLOOP_SERVER__PUBLIC_URL": f"http://localhost:{port}",
        "ARKLOOP_MAIL__TRANSPORT": "smtp",
        "ARKLOOP_MAIL__SMTP_URL": mail.url,
        "ARKLOOP_MAIL__SMTP_SECURITY": "none",
        "ARKLOOP_MAIL__FROM": "auth@example.org",
        "ARKLOOP_TOKENS__ALGORITHM": "EdDSA",
    }
    first_starts(variables)
    sql("CREATE DATABASE arkloop", "postgres")
    shutil.copy2(WORK / "second.key", key)
    variables["ARKLOOP_KEY_FILE"] = str(key)
    a, b = (Node(name, ARKLOOP, WORK, url_of("arkloop"), variables) for name in ("a", "b"))
    nodes, nginx = [a, b], None
    try:
        assert a.run("init", "--yes").returncode == 0
        a.start()
        b.start()
        nginx = Nginx(WORK, a, b)
        one_use(nginx, a, b)
        a.command("registration", "set", "open")
        one_generation(nginx, a, b)
        seen_at_once(a, b)
        limits_hold_over_both(a, b, mail)
        session = keys_of_both(a, b)
        one_mail_each(a, b, mail)
        one_sweeps(a, b)
        configurations_differ(a, variables)
        followed(a, b)
        database_restarts(a, b, session)
        for node in nodes:
            assert node.stop() == 0, node.log.read_text()[-2000:]
            assert "panicked" not in node.log.read_text(), node.log.read_text()
    except BaseException:
        for node in nodes:
            print(f"The end of the log of {node.name}:\n{node.log.read_text()[-3000:] if node.log.exists() else ''}", file=sys.stderr)
        raise
    finally:
        if nginx:
            nginx.process.terminate()
            nginx.process.wait()


try:
    main()
finally:
    for node in Node.all:
        node.kill()
