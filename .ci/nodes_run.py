"""Starts and stops the programs that .ci/nodes.py tries together: two servers, nginx before them, and a mail server that can be made to wait."""

import http.client
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time

PATIENCE_SECONDS = 20
PASSWORD = "seven purple lanterns"

NGINX = """
daemon off; pid {work}/nginx.pid; error_log {work}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
  access_log {work}/nginx-access.log combined; client_body_temp_path {work}/b; proxy_temp_path {work}/p;
  fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  log_format nodes '$status $upstream_addr';
  access_log {work}/nodes.log nodes;
  upstream arkloop {{ server 127.0.0.1:{a}; server 127.0.0.1:{b}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://arkloop; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(is_so, what, patience=PATIENCE_SECONDS):
    """Waits until something is so; how long that took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() < began + patience, f"{what} took more than {patience} s"
        time.sleep(0.02)
    return time.monotonic() - began


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    def json(self):
        return json.loads(self.text)

    def code(self):
        return self.json().get("code") or self.json().get("error", {}).get("code")

    def cookie(self):
        return self.headers["set-cookie"].split(";")[0]

    def token(self):
        return self.json()["access_token"]

    def __repr__(self):
        return f"{self.status} {self.text[:300]}"


def ask(port, method, path, body=None, token=None, cookie=None, address=None):
    """Sends one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {"connection": "close"}
    if body is not None:
        headers["content-type"] = "application/json"
    if token:
        headers["authorization"] = f"Bearer {token}"
    if cookie:
        headers["cookie"] = cookie
    if address:
        headers["x-forwarded-for"] = address
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def at_once(count, work):
    """Calls `work` with the numbers up to `count` on as many threads, which begin together; what it returned."""
    outcomes, gate = [None] * count, threading.Barrier(count)

    def one(number):
        gate.wait()
        try:
            outcomes[number] = work(number)
        except OSError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


class Node:
    """A server with a data directory of its own."""

    all = []

    def __init__(self, name, executable, work, url, variables):
        self.name, self.executable, self.process, self.port = name, executable, None, free_port()
        Node.all.append(self)
        self.directory = work / name
        self.directory.mkdir(exist_ok=True)
        self.log = self.directory / "log"
        self.env = {
            "ARKLOOP_DATA_DIR": str(self.directory / "data"),
            "ARKLOOP_DATABASE__URL": url,
            "ARKLOOP_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "ARKLOOP_SERVER__TRUSTED_PROXIES": "127.0.0.1",
            "ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB": "8",
            "ARKLOOP_PASSWORD__ARGON2_ITERATIONS": "1",
            "ARKLOOP_MAIL__HELO_NAME": f"{name}.example.org",
        } | variables

    def begin(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.executable, "serve"], cwd=self.directory, env=os.environ | self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def start(self):
        self.begin()
        wait_until(self.is_up, f"starting {self.name}")
        return self

    def is_up(self):
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-2000:]}"
        try:
            return self.ask("GET", "/healthz").status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def ask(self, *arguments, **named):
        return ask(self.port, *arguments, **named)

    def run(self, *arguments):
        """Runs a command with the configuration of this node."""
        return subprocess.run(
            [self.executable, *arguments], cwd=self.directory, env=os.environ | self.env, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )

    def command(self, *arguments):
        """Runs a command that must succeed; its JSON."""
        done = self.run("--json", *arguments)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)


class Nginx:
    def __init__(self, work, a, b):
        self.work, self.port = work, free_port()
        (work / "nginx.conf").write_text(NGINX.format(work=work, a=a.port, b=b.port, port=self.port))
        self.process = subprocess.Popen(["nginx", "-c", str(work / "nginx.conf"), "-e", str(work / "nginx-error.log")])
        wait_until(self.is_up, "starting nginx")

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def ask(self, *arguments, **named):
        return ask(self.port, *arguments, **named)

    def answered_by(self):
        """How many requests each server answered so far."""
        lines = [line.split() for line in (self.work / "nodes.log").read_text().splitlines()]
        return {upstream: sum(line[1] == upstream for line in lines) for upstream in {line[1] for line in lines}}


class MailServer:
    """Takes every mail, or waits at the recipient while `gate` is closed."""

    def __init__(self):
        self.taken, self.waiting, self.gate, self.lock = [], [], threading.Event(), threading.Lock()
        self.gate.set()
        outer = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self):
                outer.talk(self.rfile, self.wfile)

        socketserver.ThreadingTCPServer.daemon_threads = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def talk(self, lines, answers):
        greeting, recipient = None, None
        answers.write(b"220 mail.example.org\r\n")
        for line in lines:
            command = line.decode().strip()
            verb = command.split(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                greeting = command.split(" ")[1]
            if verb == "RCPT":
                recipient = re.search("<(.*)>", command)[1]
                with self.lock:
                    self.waiting.append((greeting, recipient))
                self.gate.wait()
            if verb == "DATA":
                answers.write(b"354 go on\r\n")
                text = b""
                for part in lines:
                    if part == b".\r\n":
                        break
                    text += part
                else:
                    return
                with self.lock:
                    self.taken.append((greeting, recipient, text.decode()))
            try:
                answers.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
            except OSError:
                return

    def to(self, address):
        with self.lock:
            return [mail for mail in self.taken if mail[1] == address]

    def code_to(self, address):
        wait_until(lambda: self.to(address), f"a mail to {address}")
        return re.search(r"(?m)^\s*(\d{6,10})\s*$|\b(\d{6})\b", self.to(address)[-1][2])
