"""Starts, reloads and stops the programs that .ci/proxies.py tries together: arkloop, Caddy and nginx, all on loopback."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

NAME = "auth.example.org"
PATIENCE_SECONDS = 15


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(is_so, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"{what} took more than {PATIENCE_SECONDS} s"
        time.sleep(0.02)


def substituted(text, replacements):
    """The committed configuration with other ports and paths; each of them has to be there."""
    for old, new in replacements.items():
        assert old in text, f"the configuration does not have {old!r}"
        text = text.replace(old, new)
    return text


class Program:
    """A child process with a log of its own."""

    def __init__(self, name, directory):
        self.name, self.directory, self.process = name, directory, None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / f"{name}.log"

    def run(self, command, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def stop(self):
        """Ends it in order, and gives its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_up(self, connect):
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-2000:]}"
        try:
            connect().close()
            return True
        except OSError:
            return False


class Arkloop(Program):
    """The server, as an operator behind a proxy configures it."""

    def __init__(self, executable, directory, way, variables):
        super().__init__("arkloop", directory)
        self.executable, self.way = executable, way
        self.socket = directory / "arkloop.sock"
        self.port = free_port()
        self.env = {
            "ARKLOOP_DATA_DIR": str(directory / "data"),
            "ARKLOOP_SERVER__PUBLIC_URL": f"https://{NAME}",
            "ARKLOOP_SERVER__LISTEN": f"unix:{self.socket}" if way == "unix" else f"127.0.0.1:{self.port}",
            # Not all of 127.0.0.0/8: the clients of this test are 127.0.0.2 and 127.0.0.3.
            "ARKLOOP_SERVER__TRUSTED_PROXIES": "unix" if way == "unix" else "127.0.0.1",
            "ARKLOOP_REGISTRATION__MODE": "open",
            "ARKLOOP_MAIL__TRANSPORT": "file",
            "ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB": "8",
            "ARKLOOP_PASSWORD__ARGON2_ITERATIONS": "1",
        } | variables

    def start(self):
        self.run([self.executable, "serve"], self.env)
        wait_until(lambda: self.is_up(self.connect), "starting arkloop")

    def connect(self):
        if self.way == "tcp":
            return socket.create_connection(("127.0.0.1", self.port))
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def restart(self):
        status = self.stop()
        assert status == 0, f"arkloop ended with {status}"
        self.start()

    def open_sockets(self):
        """The sockets that it holds at this moment."""
        directory = pathlib.Path(f"/proc/{self.process.pid}/fd")
        found = set()
        for descriptor in directory.iterdir():
            try:
                found.add(os.readlink(descriptor))
            except FileNotFoundError:
                continue
        return {target for target in found if target.startswith("socket:")}


class Caddy(Program):
    """Caddy with packaging/caddy/Caddyfile, and certificates of its own authority instead of a public one."""

    def __init__(self, packaging, directory, arkloop):
        super().__init__("caddy", directory)
        self.port = free_port()
        self.authority = directory / "storage/pki/authorities/local/root.crt"
        self.env = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        self.admin = f"unix/{directory}/admin.sock"
        upstream = f"unix/{arkloop.socket}" if arkloop.way == "unix" else f"127.0.0.1:{arkloop.port}"
        self.plain_port = free_port()
        site = substituted((packaging / "caddy/Caddyfile").read_text(), {
            "reverse_proxy 127.0.0.1:8080": f"reverse_proxy {upstream}",
            f"{NAME} {{": f"{NAME}, http://{NAME}:{self.plain_port} {{",
        })
        options = f"""{{
            admin {self.admin}
            storage file_system {directory}/storage
            local_certs
            skip_install_trust
            auto_https disable_redirects
            http_port {free_port()}
            https_port {self.port}
            default_bind 127.0.0.1
        }}
        """
        self.config = directory / "Caddyfile"
        self.config.write_text(options + site)

    def start(self):
        self.run(["caddy", "run", "--config", str(self.config), "--adapter", "caddyfile"], self.env)
        wait_until(lambda: self.is_up(lambda: Client(self).connect()), "starting Caddy")

    def reload(self):
        command = ["caddy", "reload", "--config", self.config, "--adapter", "caddyfile", "--address", self.admin, "--force"]
        subprocess.run(command, cwd=self.directory, env=os.environ | self.env, check=True, capture_output=True, timeout=PATIENCE_SECONDS)


class BufferingCaddy(Caddy):
    """Caddy that gathers each request first, by the lines that packaging/caddy/Caddyfile has for its version."""

    def __init__(self, packaging, directory, arkloop):
        super().__init__(packaging, directory, arkloop)
        version = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True).stdout
        numbers = tuple(int(number) for number in re.search(r"(\d+)\.(\d+)\.(\d+)", version).groups())
        wanted = ["request_buffers"] if numbers >= (2, 6, 3) else ["buffer_requests", "max_buffer_size"]
        replacements = {f"# {name}": name for name in wanted}
        self.config.write_text(substituted(self.config.read_text(), replacements))


class Nginx(Program):
    """nginx with packaging/nginx/arkloop.conf, and a certificate made here."""

    def __init__(self, packaging, directory, arkloop):
        super().__init__("nginx", directory)
        self.port = free_port()
        self.authority, key = directory / "fullchain.pem", directory / "privkey.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", self.authority],
            check=True, capture_output=True,
        )
        upstream = f"unix:{arkloop.socket}" if arkloop.way == "unix" else f"127.0.0.1:{arkloop.port}"
        site = substituted((packaging / "nginx/arkloop.conf").read_text(), {
            "    server 127.0.0.1:8080;": f"    server {upstream};",
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            # The machine may have no IPv6.
            "listen [::]:80;": "",
            "listen [::]:443 ssl http2;": "",
            f"/etc/letsencrypt/live/{NAME}": str(directory),
            "/var/log/nginx": str(directory),
        })
        (directory / "arkloop.conf").write_text(site)
        # As root, so that its workers reach the socket in a directory of this user alone; otherwise it is ignored.
        user = "user root;" if os.geteuid() == 0 else ""
        paths = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        self.config = directory / "nginx.conf"
        self.config.write_text(f"""{user} daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
            worker_processes 2; events {{ worker_connections 1024; }}
            http {{ {paths} include {directory}/arkloop.conf; }}
        """)

    def start(self):
        self.run(["nginx", "-c", str(self.config), "-e", str(self.directory / "error.log")])
        wait_until(lambda: self.is_up(lambda: Client(self).connect()), "starting nginx")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode(errors="replace")

    def json(self):
        return json.loads(self.text)

    def cookie(self):
        return self.headers["set-cookie"].split(";")[0]


class Client(http.client.HTTPSConnection):
    """A client of the proxy from an address of its own; it checks the certificate as one from outside would."""

    def __init__(self, proxy, source="127.0.0.2"):
        self.source = source
        super().__init__(NAME, proxy.port, timeout=PATIENCE_SECONDS, context=ssl.create_default_context(cafile=self.authority_of(proxy)))

    @staticmethod
    def authority_of(proxy):
        # Caddy makes its authority when it starts.
        wait_until(proxy.authority.exists, f"making the certificate of {proxy.name}")
        return proxy.authority

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout, (self.source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=NAME)
        return self.sock

    def ask(self, method, path, body=None, *, token=None, cookie=None, headers=()):
        """Sends a request; `headers` are pairs, and stand beside those that it needs."""
        self.putrequest(method, path, skip_host=any(name.lower() == "host" for name, _ in headers), skip_accept_encoding=True)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        pairs = [*headers, ("Content-Length", str(len(content)))]
        pairs += [("Content-Type", "application/json")] if body is not None else []
        pairs += [("Authorization", f"Bearer {token}")] if token else []
        pairs += [("Cookie", cookie)] if cookie else []
        for name, value in pairs:
            self.putheader(name, value)
        self.endheaders(content)
        return Answer(self.getresponse())
