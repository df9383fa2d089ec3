"""Tries arkloop behind the real Caddy and nginx, as a client and as an attacker, and restarts all of them under load; see .ci/proxies."""

import email
import email.policy
import pathlib
import re
import subprocess
import sys

import proxies_drip
import proxies_load
from proxies_run import NAME, Arkloop, BufferingCaddy, Caddy, Client, Nginx, wait_until

PASSWORD = "a quiet harbour"
# Everything that some server believes about where a request comes from. The last one asks the proxy to drop its own.
FORGED = [
    ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "198.51.100.2"),
    ("Forwarded", "for=198.51.100.3;proto=http;host=evil.example"), ("True-Client-IP", "198.51.100.4"),
    ("CF-Connecting-IP", "198.51.100.5"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "80"), ("X-Original-URL", "/healthz"), ("Connection", "keep-alive, X-Forwarded-For, Host"),
]


class Setting:
    """One proxy in front of one server, and the clients that ask."""

    def __init__(self, proxy, arkloop):
        self.proxy, self.arkloop = proxy, arkloop
        self.sockets_at_rest = arkloop.open_sockets()

    def ask(self, *arguments, source="127.0.0.2", expect=200, **options):
        client = Client(self.proxy, source)
        answer = client.ask(*arguments, **options)
        client.close()
        assert answer.status == expect, f"{arguments[:2]}: {answer.status} instead of {expect}: {answer.text}"
        return answer

    def register(self, login, **options):
        body = {"login": login, "password": PASSWORD, "email": f"{login}@example.org"}
        return self.ask("POST", "/v1/auth/register", body, expect=201, **options)

    def login(self, login, password=PASSWORD, **options):
        return self.ask("POST", "/v1/auth/login", {"login": login, "password": password}, **options)

    def mailed_link(self, login):
        def found():
            outbox = self.arkloop.directory / "data/outbox"
            mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in outbox.glob("*.eml")]
            return [mail.get_body(("plain",)).get_content() for mail in mails if f"{login}@example.org" in mail["To"]]
        wait_until(found, f"the mail to {login}")
        return re.search(r"\S+#token=", found()[0])[0]


def is_as_an_https_server_sends_it(answer):
    parts = answer.headers.get_all("set-cookie")
    assert len(parts) == 1, parts
    attributes = parts[0].split("; ")[1:]
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/v1/auth"} <= set(attributes), attributes
    assert answer.headers.get_all("strict-transport-security") == ["max-age=31536000"], answer.headers
    assert answer.headers["cache-control"] == "no-store" and len(answer.headers["x-trace-id"]) == 32, answer.headers


def go_through_a_session(setting):
    registered = setting.register("ann")
    is_as_an_https_server_sends_it(registered)
    signed_in = setting.login("ann")
    refreshed = setting.ask("POST", "/v1/auth/refresh", cookie=signed_in.cookie())
    is_as_an_https_server_sends_it(refreshed)
    assert refreshed.cookie() != signed_in.cookie()
    token = refreshed.json()["access_token"]
    assert setting.ask("GET", "/v1/me", token=token).json()["username"] == "ann"
    signed_out = setting.ask("POST", "/v1/auth/logout", token=token, cookie=refreshed.cookie())
    is_as_an_https_server_sends_it(signed_out)
    setting.ask("GET", "/v1/me", token=token, expect=401)
    setting.ask("POST", "/v1/auth/refresh", cookie=refreshed.cookie(), expect=401)


def believe_no_forged_header(setting):
    registered = setting.register("bob", headers=FORGED)
    is_as_an_https_server_sends_it(registered)
    signed_in = setting.login("bob", source="127.0.0.3", headers=FORGED)
    refreshed = setting.ask("POST", "/v1/auth/refresh", cookie=signed_in.cookie(), source="127.0.0.3", headers=FORGED)
    is_as_an_https_server_sends_it(refreshed)
    sessions = setting.ask("GET", "/v1/auth/sessions", token=signed_in.json()["access_token"], headers=FORGED).json()["sessions"]
    assert sorted(session["ip"] for session in sessions) == ["127.0.0.2", "127.0.0.3"], sessions
    for header in FORGED:
        setting.login("bob", headers=[header])
    sessions = setting.ask("GET", "/v1/auth/sessions", token=signed_in.json()["access_token"]).json()["sessions"]
    assert {session["ip"] for session in sessions} == {"127.0.0.2", "127.0.0.3"}, sessions
    assert len(sessions) == 2 + len(FORGED), sessions
    assert setting.mailed_link("bob") == f"https://{NAME}/verify#token=", setting.mailed_link("bob")


def refuse_a_foreign_page(setting):
    foreign = [("Origin", "https://evil.example"), ("X-Forwarded-Host", "evil.example")]
    body = {"login": "ann", "password": PASSWORD}
    refused = setting.ask("POST", "/v1/auth/login", body, headers=foreign, expect=403)
    assert refused.json()["code"] == "request.origin_forbidden", refused.text
    setting.ask("POST", "/v1/auth/login", body, headers=[("Origin", f"https://{NAME}")])


def keep_sizes_in_bounds(setting):
    client = Client(setting.proxy)
    for size in [20 * 1024, 60 * 1024]:
        refused = client.ask("POST", "/v1/auth/login", b'{"login": "' + b"a" * size)
        assert (refused.status, refused.json()["code"]) == (413, "request.too_large"), refused.text
    client.close()
    setting.ask("POST", "/v1/auth/login", b" " * 1024 * 1024, expect=413)
    assert setting.ask("GET", "/healthz", headers=[("X-Long", "a" * 6000)]).json() == {"status": "ok"}
    refused = Client(setting.proxy).ask("GET", "/healthz", headers=[("X-Long", "a" * 64 * 1024)])
    assert refused.status in (400, 431), refused.status
    setting.ask("GET", "/healthz")


def keep_connections(setting):
    """Fifty requests over fifty connections of clients go over the connections to arkloop that are there already."""
    def connections():
        return setting.arkloop.open_sockets() - setting.sockets_at_rest

    setting.ask("GET", "/healthz")
    before = connections()
    for _ in range(50):
        setting.ask("GET", "/healthz")
    after = connections()
    assert before & after, "no connection to arkloop was kept"
    # nginx has two processes with connections of their own.
    assert len(after - before) <= 1, f"50 requests made at least {len(after - before)} connections to arkloop"


def speak_http2(setting):
    address = f"https://{NAME}:{setting.proxy.port}/readyz"
    command = ["curl", "-sS", "--http2", "--resolve", f"{NAME}:{setting.proxy.port}:127.0.0.1", "--cacert", setting.proxy.authority]
    done = subprocess.run([*command, "-w", " %{http_version} %{http_code}", address], capture_output=True, text=True, check=True)
    assert done.stdout == '{"status":"ok"} 2 200', done.stdout


def limit_each_address(setting):
    """With a limit of three sign-ins a minute: the fourth is refused whatever it claims, and another address is not."""
    for number in range(5):
        forged = [("X-Forwarded-For", f"198.51.100.{number}"), ("X-Real-IP", f"198.51.100.{number}"), ("Forwarded", f"for=198.51.100.{number}")]
        answer = setting.login(f"nobody-{number}", headers=forged, expect=401 if number < 3 else 429)
    assert answer.json()["code"] == "rate_limit.exceeded" and answer.json()["details"]["limit"] == "address", answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 60, answer.headers
    setting.login("nobody-5", source="127.0.0.3", expect=401)


CHECKS = [go_through_a_session, believe_no_forged_header, refuse_a_foreign_page, keep_sizes_in_bounds, keep_connections, speak_http2]


def run(proxy_kind, way, packaging, arkloop, work, variables, tries):
    """Starts a server and a proxy anew, hands them to each of `tries`, and stops them."""
    directory = work / f"{proxy_kind.__name__.lower()}-{way}-{tries[0].__name__}"
    server = Arkloop(arkloop, directory / "server", way, variables)
    proxy = proxy_kind(packaging, directory / "proxy", server)
    try:
        server.start()
        proxy.start()
        setting = Setting(proxy, server)
        for attempt in tries:
            attempt(setting)
        assert server.stop() == 0
    except BaseException:
        for program in [server, proxy]:
            print(f"The end of the log of {program.name}:", program.log.read_text()[-3000:], sep="\n", file=sys.stderr)
        raise
    finally:
        proxy.kill()
        server.kill()


def main():
    packaging, arkloop, work = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    narrow, unlimited = {"ARKLOOP_RATE_LIMIT__LOGIN": "3/1m"}, {"ARKLOOP_RATE_LIMIT__ENABLED": "false"}
    for proxy in [Caddy, Nginx]:
        for way in ["tcp", "unix"]:
            print(f"{proxy.__name__} over {way}:")
            run(proxy, way, packaging, arkloop, work, {}, CHECKS)
            run(proxy, way, packaging, arkloop, work, narrow, [limit_each_address])
            print(f"  ok: {', '.join(check.__name__.replace('_', ' ') for check in [*CHECKS, limit_each_address])}")
            run(proxy, way, packaging, arkloop, work, unlimited, [proxies_load.lose_nothing_acknowledged])
    proxies_drip.raise_limit()
    for proxy, way, drip in [
        (Caddy, "tcp", proxies_drip.dripping_uploads_of_one_address),
        (Caddy, "unix", proxies_drip.dripping_uploads_of_one_address),
        (Caddy, "tcp", proxies_drip.dripping_uploads_of_many_addresses),
        (BufferingCaddy, "tcp", proxies_drip.dripping_uploads_of_one_address),
    ]:
        print(f"{proxy.__name__} over {way}, {drip.__name__.replace('_', ' ')}:")
        run(proxy, way, packaging, arkloop, work, unlimited, [drip])


main()
