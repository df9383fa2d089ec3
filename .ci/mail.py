"""Receives mail from a running arkloop over STARTTLS and AUTH, reads it, and uses what is in it; see .ci/mail."""

import datetime
import email
import email.policy
import html
import http.client
import json
import logging
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

# How long a mail may take: the pause after a first failure and what comes on top of it.
PATIENCE_SECONDS = 30
PASSWORD = "a quiet harbour"
# The mail server tells every handshake that a client gave up, which is what some steps are about.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


def make_certificates(directory):
    """A good certificate of an authority that the server will trust, one of a stranger, and one for another host."""
    directory = pathlib.Path(directory)
    directory.mkdir()
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    good = authority.issue_cert("localhost")
    for name, certificate in {
        "good": good,
        "stranger": stranger.issue_cert("localhost"),
        "other-host": authority.issue_cert("mail.example.net"),
    }.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(directory / f"{name}.pem")


class Mailbox:
    """What has arrived, and what was wrong with how it came."""

    def __init__(self):
        self.arrived = []
        self.faults = []
        self.changed = threading.Condition()

    async def handle_DATA(self, server, session, envelope):
        with self.changed:
            if session.ssl is None:
                self.faults.append("a mail came without TLS")
            if not session.authenticated:
                self.faults.append("a mail came without signing in")
            self.arrived.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
            self.changed.notify_all()
        return "250 taken"

    def take(self, address):
        """Waits for the oldest mail to an address and takes it out."""
        def find():
            return next((mail for mail in self.arrived if address in mail[1]), None)
        with self.changed:
            self.changed.wait_for(find, PATIENCE_SECONDS)
            mail = find()
            assert mail, f"no mail to {address} came within {PATIENCE_SECONDS} s"
            self.arrived.remove(mail)
            return mail

    def is_empty(self):
        with self.changed:
            return not self.arrived


def start_smtp(mailbox, certificate, port, password):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def authenticate(server, session, envelope, mechanism, data):
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"arkloop", password)
        return AuthResult(success=is_right)

    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
        authenticator=authenticate, auth_required=True, auth_require_tls=True,
    )
    controller.start()
    return controller


class Server:
    """The running arkloop: requests over HTTP, and its commands."""

    def __init__(self, base, arkloop, work):
        self.address = base.removeprefix("http://")
        self.command_line = [arkloop, "--data-dir", f"{work}/data", "--json"]

    def request(self, method, path, body=None, token=None, expect=200):
        headers = {"content-type": "application/json"} if body is not None else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == expect, f"{method} {path}: {response.status} instead of {expect}: {text}"
        return json.loads(text) if text else None

    def post(self, path, body=None, token=None, expect=200):
        return self.request("POST", path, body, token, expect)

    def register(self, login, locale="en", expect=201):
        body = {"login": login, "password": PASSWORD, "email": f"{login}@example.org", "locale": locale}
        registered = self.post("/v1/auth/register", body, expect=expect)
        assert registered["warning"] is None, registered
        return registered["access_token"]

    def login(self, login, password, expect=200):
        return self.post("/v1/auth/login", {"login": login, "password": password}, expect=expect)

    def command(self, *arguments, expect=0):
        done = subprocess.run([*self.command_line, *arguments], capture_output=True, text=True)
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout if expect == 0 else done.stderr)


class Mail:
    """One mail, as Python's email package reads it, checked for what all of them have to be."""

    seen_ids = set()

    def __init__(self, arrived):
        sender, recipients, content = arrived
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert not message.defects, message.defects
        self.subject = message["Subject"]
        assert self.subject and "\n" not in self.subject and "{" not in self.subject, self.subject
        head = content.split(b"\r\n\r\n")[0]
        assert head.isascii(), "the head of a mail has bytes beyond ASCII"
        assert all(len(line) <= 998 for line in content.split(b"\r\n")), "a line is longer than RFC 5322 allows"
        assert sender == "no-reply@auth.example.org", sender
        assert message["From"].addresses[0].display_name == "Arkloop Prüfung", message["From"]
        assert message["From"].addresses[0].addr_spec == sender, message["From"]
        assert [to.addr_spec for to in message["To"].addresses] == recipients, message["To"]
        assert message["Auto-Submitted"] == "auto-generated", message["Auto-Submitted"]
        age = datetime.datetime.now(datetime.timezone.utc) - message["Date"].datetime
        assert abs(age) < datetime.timedelta(minutes=2), f"Date is {message['Date']}"
        self.message_id = message["Message-ID"]
        assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", self.message_id), self.message_id
        assert self.message_id not in Mail.seen_ids, f"{self.message_id} came twice"
        Mail.seen_ids.add(self.message_id)
        assert message.get_content_type() == "multipart/alternative", message.get_content_type()
        kinds = [part.get_content_type() for part in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"], kinds
        for part in message.iter_parts():
            assert part.get_content_charset() == "utf-8", part["Content-Type"]
        self.text = message.get_body(("plain",)).get_content()
        markup = message.get_body(("html",)).get_content()
        self.html = html.unescape(markup)
        outside = re.findall(r"<(?:img|link|script|iframe)\b|url\(", markup)
        assert not outside, f"the HTML loads something: {outside}"
        print(f"{recipients[0]}: {self.subject}")

    def found(self, pattern):
        match = re.search(pattern, self.text)
        assert match, f"no {pattern} in {self.text}"
        assert match[1] in self.html, f"{match[1]} stands in the text and not in the HTML"
        return match[1]

    def token(self):
        return self.found(r"https?://\S+#(?:token|change|undo)=([A-Za-z0-9_-]{43})(?=\s)")


def verify_an_address(server, take):
    token = server.register("ann")
    mail = take("ann@example.org")
    assert "ann" in mail.text
    body = {"token": mail.token()}
    preview = server.post("/v1/auth/email/verify/preview", body)
    assert preview["username"] == "ann", preview
    assert not server.request("GET", "/v1/me", token=token)["email_verified"]
    for _ in range(2):
        assert server.post("/v1/auth/email/verify/confirm", body) == {"ok": True}
    assert server.request("GET", "/v1/me", token=token)["email_verified"]
    refusal = server.post("/v1/auth/email/verify/send", token=token, expect=409)
    assert refusal["code"] == "email.already_verified", refusal


def reject_an_account(server, take):
    token = server.register("stranger")
    body = {"token": take("stranger@example.org").token()}
    assert server.post("/v1/auth/email/verify/reject", body) == {"ok": True}
    server.request("GET", "/v1/me", token=token, expect=401)
    server.login("stranger", PASSWORD, expect=401)
    server.post("/v1/auth/email/verify/confirm", body, expect=422)
    told = take("stranger@example.org")
    assert "stranger" in told.text and "://" not in told.text, told.text


def sign_in_with_a_code(server, take):
    server.post("/v1/auth/email/otp/send", {"email": "ann@example.org"}, expect=204)
    code = take("ann@example.org").found(r"(?m)^\s*(\d{6})\s*$")
    body = {"email": "ann@example.org", "otp": code}
    assert server.post("/v1/auth/email/otp/verify", body)["token_type"] == "bearer"
    assert server.post("/v1/auth/email/otp/verify", body, expect=422)["code"] == "auth.otp_invalid"


def reset_a_password(server, take):
    server.post("/v1/auth/password/reset/send", {"email": "ann@example.org"}, expect=204)
    body = {"token": take("ann@example.org").token(), "new_password": "a louder harbour"}
    server.post("/v1/auth/password/reset/confirm", body, expect=204)
    server.login("ann", PASSWORD, expect=401)
    server.login("ann", "a louder harbour")
    assert server.post("/v1/auth/password/reset/confirm", body, expect=422)["code"] == "auth.reset_token_invalid"
    assert "ann" in take("ann@example.org").text


def change_a_password(server, take):
    token = server.login("ann", "a louder harbour")["access_token"]
    body = {"current_password": "a louder harbour", "new_password": "a sunlit harbour"}
    server.post("/v1/auth/password/change", body, token=token, expect=204)
    assert "ann" in take("ann@example.org").text
    server.login("ann", "a sunlit harbour")


def write_in_chinese(server, take):
    server.register("li", locale="zh-CN")
    mail = take("li@example.org")
    assert re.search(r"[\u4e00-\u9fff]", mail.subject), mail.subject
    assert re.search(r"[\u4e00-\u9fff]", mail.text) and re.search(r"[\u4e00-\u9fff]", mail.html)
    assert server.post("/v1/auth/email/verify/confirm", {"token": mail.token()}) == {"ok": True}


def tell_a_robbed_owner(server, take):
    """Somebody else registered the address; its owner signs in with a code."""
    token = server.register("bea")
    take("bea@example.org")
    server.post("/v1/auth/email/otp/send", {"email": "bea@example.org"}, expect=204)
    code = take("bea@example.org").found(r"(?m)^\s*(\d{6})\s*$")
    server.post("/v1/auth/email/otp/verify", {"email": "bea@example.org", "otp": code})
    server.request("GET", "/v1/me", token=token, expect=401)
    server.login("bea", PASSWORD, expect=401)
    body = {"token": take("bea@example.org").token(), "new_password": "the owner's harbour"}
    server.post("/v1/auth/password/reset/confirm", body, expect=204)
    server.login("bea", "the owner's harbour")
    take("bea@example.org")


def tell_an_owner_who_reset(server, take):
    """Somebody else registered the address; its owner resets the password, so that there is no link to set one."""
    token = server.register("cleo")
    take("cleo@example.org")
    server.post("/v1/auth/password/reset/send", {"email": "cleo@example.org"}, expect=204)
    body = {"token": take("cleo@example.org").token(), "new_password": "the owner's harbour"}
    server.post("/v1/auth/password/reset/confirm", body, expect=204)
    server.request("GET", "/v1/me", token=token, expect=401)
    server.login("cleo", PASSWORD, expect=401)
    told = take("cleo@example.org")
    assert "cleo" in told.text and "://" not in told.text, told.text
    server.login("cleo", "the owner's harbour")


def mail_an_invite(server, take):
    invite = server.command("invite", "create", "--email", "guest@example.org")
    mail = take("guest@example.org")
    assert mail.found(r"(?m)^\s*((?:[0-9A-Z]{4}-){3}[0-9A-Z]{4})\s*$") == invite["code"]
    if invite["link"]:
        assert mail.found(r"(https?://\S+)(?=\s)") == invite["link"]
    body = {"login": "guest", "password": PASSWORD, "email": "guest@example.org", "invite_code": invite["code"]}
    server.post("/v1/auth/register", body, expect=201)
    take("guest@example.org")
    assert server.command("invite", "show", invite["code"])["uses"] == 1


def hand_over_a_link(server, take):
    """The link of `user create` is printed and mailed; using it is told by mail."""
    created = server.command("user", "create", "dan", "--email", "dan@example.org")
    token = created["set_password_link"].split("#token=")[1]
    assert take("dan@example.org").token() == token
    server.post("/v1/auth/password/reset/confirm", {"token": token, "new_password": PASSWORD}, expect=204)
    server.login("dan", PASSWORD)
    take("dan@example.org")
    assert not server.command("user", "show", "dan")["email_verified"]


def delete_an_account(server, take):
    token = server.login("dan", PASSWORD)["access_token"]
    server.post("/v1/auth/account/delete", {"current_password": PASSWORD}, token=token, expect=204)
    server.login("dan", PASSWORD, expect=401)
    told = take("dan@example.org")
    assert "dan" in told.text and "://" not in told.text, told.text


def change_an_address(server, take):
    token = server.login("ann", "a sunlit harbour")["access_token"]
    body = {"new_email": "ann@example.net", "current_password": "a sunlit harbour"}
    server.post("/v1/auth/email/change", body, token=token, expect=204)
    asked = take("ann@example.net")
    told = take("ann@example.org")
    assert "a***@e***" in told.text and "example.net" not in told.text, told.text
    body = {"token": asked.token()}
    preview = server.post("/v1/auth/email/change/preview", body)
    assert preview == {"purpose": "change", "username": "ann", "email": "ann@example.net"}, preview
    assert server.post("/v1/auth/email/change/confirm", body, expect=401)["code"] == "auth.missing_token"
    assert server.post("/v1/auth/email/change/confirm", body, token=token) == {"ok": True}
    assert server.request("GET", "/v1/me", token=token)["email"] == "ann@example.net"
    # The former address was not the account's for long enough to get an undo.
    told = take("ann@example.org")
    assert "a***@e***" in told.text and "#undo=" not in told.text, told.text


def test_from_the_command_line(server, take):
    document = server.command("mail", "test", "operator@example.org")
    expected = {"to": "operator@example.org", "transport": "smtp", "helo_name": "auth.example.org"}
    assert document == expected, document
    take("operator@example.org")
    assert server.command("mail", "queue") == []


class Injector:
    """A third party between arkloop and its mail server: it adds answers to the plaintext 220 of STARTTLS, and lets nothing through after it."""

    FORGED = b"250-localhost\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 fine\r\n250 fine\r\n354 go on\r\n250 taken\r\n"

    def __init__(self, certificate, port):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=[connection], daemon=True).start()

    def converse(self, connection):
        connection.sendall(b"220 localhost\r\n")
        try:
            while not (line := connection.recv(1000)).upper().startswith(b"STARTTLS"):
                if not line:
                    return
                connection.sendall(b"250-localhost\r\n250 STARTTLS\r\n")
            connection.sendall(b"220 go ahead\r\n" + self.FORGED)
            with self.context.wrap_socket(connection, server_side=True) as encrypted:
                while encrypted.recv(1000):
                    pass
        except OSError:
            connection.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def refuse_a_server(server, mailbox, take, wrong, start, login, why):
    """To a wrong mail server nothing leaves, and the queue says why; to the right one it goes out."""
    began = time.monotonic()
    server.register(login)
    took = time.monotonic() - began
    assert took < 1, f"registering took {took:.1f} s while mail could not be sent"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (waiting := server.command("mail", "queue")) or not waiting[0]["attempts"]:
        assert time.monotonic() < deadline, f"nothing was tried, or it counts as sent: {waiting}"
        time.sleep(0.1)
    [waits] = waiting
    assert waits["kind"] == "verify_email" and waits["to"] == f"{login}@example.org", waits
    assert why in waits["last_error"].lower(), waits["last_error"]
    refusal = server.command("mail", "test", "operator@example.org", expect=1)
    assert why in refusal["error"].lower(), refusal
    print(f"refused: {waits['last_error']}")
    wrong.stop()
    assert mailbox.is_empty(), "a mail was delivered to a wrong mail server"
    smtp = start("good")
    assert server.command("mail", "retry") == {"retried": 1}
    body = {"token": take(f"{login}@example.org").token()}
    assert server.post("/v1/auth/email/verify/confirm", body) == {"ok": True}
    smtp.stop()


def check(base, arkloop, work, smtp_port):
    server, mailbox = Server(base, arkloop, work), Mailbox()
    password = pathlib.Path(work, "smtp_password").read_bytes().splitlines()[0]

    def start(certificate):
        return start_smtp(mailbox, f"{work}/certificates/{certificate}.pem", int(smtp_port), password)

    def take(address):
        return Mail(mailbox.take(address))

    smtp = start("good")
    for step in [
        verify_an_address, reject_an_account, sign_in_with_a_code, reset_a_password, change_a_password, write_in_chinese,
        tell_a_robbed_owner, tell_an_owner_who_reset, mail_an_invite, hand_over_a_link, change_an_address, delete_an_account,
        test_from_the_command_line,
    ]:
        step(server, take)
    smtp.stop()
    refuse_a_server(server, mailbox, take, start("stranger"), start, "eve", "certificate")
    refuse_a_server(server, mailbox, take, start("other-host"), start, "fay", "certificate")
    injector = Injector(f"{work}/certificates/good.pem", int(smtp_port))
    refuse_a_server(server, mailbox, take, injector, start, "gil", "before tls began")
    assert mailbox.is_empty(), f"nobody asked for {mailbox.arrived}"
    assert not mailbox.faults, mailbox.faults
    print(f"ok: {len(Mail.seen_ids)} mails")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"certificates": make_certificates, "check": check}[command](*arguments)
