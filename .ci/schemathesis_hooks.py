"""What schemathesis cannot know about this server: how to sign in, and which rules no JSON Schema can state.

Loaded through SCHEMATHESIS_HOOKS. No check and no operation is left out: valid requests are only kept valid.
"""

import atexit
import collections
import contextlib
import email
import email.policy
import itertools
import json
import os
import re
import sqlite3
import subprocess
import time
import unicodedata
import urllib.request
import uuid

import schemathesis

SERVER = os.environ["ARKLOOP_CI_SERVER"]
COUNTS = os.environ["ARKLOOP_CI_COUNTS"]
ARKLOOP = os.environ["ARKLOOP_CI_EXECUTABLE"]
DATA_DIR = os.environ["ARKLOOP_CI_DATA_DIR"]
COOKIE = "arkloop_refresh_token"
REFRESH = "POST /v1/auth/refresh"
PASSWORD = "a long and unusual one"
ZONES = ["Europe/Berlin", "us/pacific", "Asia/Calcutta", "Etc/GMT+1", "UTC"]

with open(os.environ["ARKLOOP_CI_COMMON_PASSWORDS"], encoding="utf-8") as lines:
    COMMON_PASSWORDS = frozenset(lines.read().split("\n"))

taken = set()
turns = collections.defaultdict(itertools.count)
answers = collections.defaultdict(collections.Counter)


def post(path, body):
    """Sends `body` and gives the JSON of the answer, with the refresh token among it."""
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
        cookie = response.headers["Set-Cookie"].split(";", 1)[0]
        return answer | {"cookie": cookie.removeprefix(COOKIE + "=")}


def ask_for_mail(path, address):
    request = urllib.request.Request(SERVER + path, json.dumps({"email": address}).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def find_mailed(address, pattern):
    with os.scandir(os.path.join(DATA_DIR, "outbox")) as entries:
        files = sorted((entry for entry in entries if entry.name.endswith(".eml")), key=lambda entry: -entry.stat().st_mtime_ns)
    for file in files[:40]:
        with open(file.path, "rb") as content:
            mail = email.message_from_binary_file(content, policy=email.policy.default)
        found = re.search(pattern, mail.get_body(("plain",)).get_content()) if address in mail["To"] else None
        if found:
            return found
    return None


def mailed(address, pattern):
    """What `pattern` finds in a mail to `address`; the server writes mails as files."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        # The server removes files of expired mails, maybe between the list and the reading.
        with contextlib.suppress(FileNotFoundError):
            found = find_mailed(address, pattern)
            if found:
                return found[1]
        time.sleep(0.02)
    raise AssertionError(f"no mail to {address} has {pattern}")


TOKEN_OF_LINK = r"[?#]token=([A-Za-z0-9_-]{43})"


def verification_token():
    return mailed(register()["email"], TOKEN_OF_LINK)


def reset_token():
    account = register()
    ask_for_mail("/v1/auth/password/reset/send", account["email"])
    return mailed(account["email"], r"/reset" + TOKEN_OF_LINK)


def send(path, body, authorization=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()


def change_token(authorization):
    """The token of a change of the bearer's address."""
    new = fresh_names()["email"]
    send("/v1/auth/email/change", {"new_email": new, "current_password": PASSWORD}, authorization)
    return mailed(new, r"#change=([A-Za-z0-9_-]{43})")


def undo_token():
    """The token of an undo: of an account that was registered four days ago, as far as the database knows."""
    account = register()
    bearer = f"Bearer {account['access_token']}"
    send("/v1/auth/email/verify/confirm", {"token": mailed(account["email"], TOKEN_OF_LINK)})
    with contextlib.closing(sqlite3.connect(os.path.join(DATA_DIR, "arkloop.db"), timeout=10)) as database, database:
        database.execute("UPDATE users SET created_at = created_at - 345600000 WHERE username = ?", (account["login"],))
    send("/v1/auth/email/change/confirm", {"token": change_token(bearer)}, bearer)
    return mailed(account["email"], r"#undo=([A-Za-z0-9_-]{43})")


def mailed_code():
    account = register()
    ask_for_mail("/v1/auth/email/otp/send", account["email"])
    return account["email"], mailed(account["email"], r"(?m)^\s*(\d{6})\s*$")


def flow_token(identity):
    request = urllib.request.Request(SERVER + "/v1/auth/resolve", json.dumps({"identity": identity}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["flow_token"]


def made_by_operator():
    """An account that was not mailed to yet: one that registers has spent its mail of this minute."""
    account = fresh_names() | {"password": PASSWORD}
    command = [ARKLOOP, "--data-dir", DATA_DIR, "-q", "user", "create", account["login"], "--email", account["email"], "--password-stdin"]
    subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, capture_output=True)
    return account | post("/v1/auth/login", {"login": account["login"], "password": PASSWORD})


def get(path, headers):
    request = urllib.request.Request(SERVER + path, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def fresh_names():
    login = f"ci-{uuid.uuid4().hex[:20]}"
    return {"login": login, "email": f"{login}@example.org"}


def register():
    """Makes an account for one test case alone: a case may sign out, rename itself or end its sessions."""
    account = fresh_names() | {"password": PASSWORD}
    return account | post("/v1/auth/register", account)


def other_session(authorization):
    """Signs the bearer in once more and gives the id of that second session."""
    headers = {"Authorization": authorization}
    login = get("/v1/me", headers)["username"]
    post("/v1/auth/login", {"login": login, "password": PASSWORD})
    sessions = get("/v1/auth/sessions", headers)["sessions"]
    return next(session["id"] for session in sessions if not session["current"])


def is_unseen(character):
    return character.isspace() and not "\x1c" <= character <= "\x1f" or unicodedata.category(character) == "Cf"


def trimmed(text):
    """A name or an address without what the server drops around it."""
    kept = [place for place, character in enumerate(text) if not is_unseen(character)]
    return text[kept[0] : kept[-1] + 1] if kept else ""


PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9](-?[A-Za-z0-9]){0,30}\.){0,3}[A-Za-z](-?[A-Za-z0-9]){0,30}")
PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{2,32}")


def straighten(body):
    """Replaces names and addresses of which the patterns, which know neither Unicode nor IDNA, accept more than the server."""
    patterns = {"email": PLAIN_ADDRESS, "new_email": PLAIN_ADDRESS, "username": PLAIN_NAME, "login": None, "identity": None}
    for field, pattern in patterns.items():
        if not isinstance(body.get(field), str) or field == "username" and not body[field]:
            continue
        text = trimmed(body[field])
        is_right = 0 < len(text) <= 254 if pattern is None else pattern.fullmatch(text)
        if not is_right:
            body[field] = fresh_names()["email" if field.endswith("email") else "login"]


def is_taken(body):
    """Whether an earlier request had the same name or address; remembers both."""
    names = {trimmed(body[field]).lower() for field in ("login", "email")}
    is_old = not names.isdisjoint(taken)
    taken.update(names)
    return is_old


def is_refused(password, body):
    """Whether a password has the right length and is refused all the same."""
    plain = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    password = unicodedata.normalize("NFC", plain)
    lower = password.lower()
    identities = [body.get(field) for field in ("login", "username", "email")]
    return (
        not 8 <= len(password) <= 128
        or any(unicodedata.category(character) == "Cc" for character in password)
        or lower in COMMON_PASSWORDS
        or any(isinstance(identity, str) and trimmed(identity).lower() == lower for identity in identities)
    )


@schemathesis.auth(refresh_interval=None)
class FreshAccount:
    """Signs in as somebody new for every test case of an operation that asks for it."""

    def get(self, case, context):
        # The document has no scheme for the cookie that a refresh needs.
        if not context.operation.definition.raw.get("security") and context.operation.label != REFRESH:
            return None
        return made_by_operator() if context.operation.label == "POST /v1/auth/email/verify/send" else register()

    def set(self, case, account, context):
        if context.operation.label != REFRESH:
            case.headers["Authorization"] = f"Bearer {account['access_token']}"
        case.cookies[COOKIE] = account["cookie"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes valid requests come true where that takes more than the right form."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    operation = case.operation.label
    body = case.body if isinstance(case.body, dict) else {}
    straighten(body)
    # Every second valid request gets what it needs to succeed; the others go out as they were drawn.
    is_helped = next(turns[operation]) % 2 == 0
    if operation == "POST /v1/auth/login" and is_helped:
        account = register()
        body.update(login=account["login"], password=account["password"])
    elif operation == "DELETE /v1/auth/sessions/{id}" and is_helped:
        case.path_parameters["id"] = other_session(case.headers["Authorization"])
    elif operation.startswith("POST /v1/auth/email/verify/") and "token" in body:
        body["token"] = verification_token()
    elif operation == "POST /v1/auth/email/otp/verify":
        body.pop("code", None)
        body["email"], body["otp"] = mailed_code()
    elif operation in ("POST /v1/auth/password/reset/preview", "POST /v1/auth/password/reset/confirm"):
        body["token"] = reset_token()
    elif operation == "POST /v1/auth/resolve" and is_helped:
        body["identity"] = register()["login"]
    elif operation == "POST /v1/auth/resolve/otp/send":
        body["flow_token"] = flow_token(register()["login"])
    elif operation == "POST /v1/auth/resolve/otp/verify":
        address, body["code"] = mailed_code()
        body["flow_token"] = flow_token(address)
    elif operation in ("POST /v1/auth/password/change", "POST /v1/auth/account/export", "POST /v1/auth/account/delete"):
        body["current_password"] = PASSWORD
    elif operation == "POST /v1/auth/email/change":
        body["current_password"] = PASSWORD
        if is_helped:
            body["new_email"] = fresh_names()["email"]
    elif operation == "POST /v1/auth/email/change/preview":
        body["token"] = change_token(f"Bearer {register()['access_token']}")
    elif operation == "POST /v1/auth/email/change/undo":
        body["token"] = undo_token()
    elif operation == "POST /v1/auth/email/change/confirm" and "Authorization" in case.headers:
        body["token"] = change_token(case.headers["Authorization"])
    elif operation == "POST /v1/auth/register":
        if not PLAIN_NAME.fullmatch(trimmed(body["login"])):
            body["login"] = fresh_names()["login"]
        if is_taken(body) and is_helped:
            body.update(fresh_names())
        if is_refused(body["password"], body):
            body["password"] = f"{PASSWORD} {uuid.uuid4()}"
    if body.get("timezone"):
        # A name of the right form is hardly ever one of the database.
        body["timezone"] = ZONES[len(body["timezone"]) % len(ZONES)]
    if "new_password" in body and is_refused(body["new_password"], body):
        body["new_password"] = f"{PASSWORD} {uuid.uuid4()}"
    if len(body.get("password", "").encode()) > 1024:
        # The schema can only count characters, but the limit is one of bytes.
        body["password"] = PASSWORD


@schemathesis.hook
def after_call(context, case, response):
    answers[case.operation.label][str(response.status_code)] += 1


@atexit.register
def write_answers():
    with open(COUNTS, "w", encoding="utf-8") as file:
        json.dump(answers, file)
