"""What .ci/memory measures: python3 memory.py EXECUTABLE GROUP DIRECTORY"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

EXECUTABLE, GROUP, DIRECTORY = sys.argv[1:]
VERSION_1 = os.path.exists(f"{GROUP}/memory.limit_in_bytes")
# How much larger an idle server may be after a burst than before; and after the four bursts without limits, which leave pages
# that are used in part.
SLACK_KIB = 4 * 1024
LONG_SLACK_KIB = 6 * 1024
# How long the memory may take to go back.
PATIENCE = 20


def read(name):
    with open(f"{GROUP}/{name}") as file:
        return file.read()


def write(name, text):
    with open(f"{GROUP}/{name}", "w") as file:
        file.write(text)


def kills():
    text = read("memory.oom_control" if VERSION_1 else "memory.events")
    return int(re.search(r"^oom_kill (\d+)", text, re.M).group(1))


def most_used():
    name = "memory.max_usage_in_bytes" if VERSION_1 else "memory.peak"
    return int(read(name)) // 1024 if os.path.exists(f"{GROUP}/{name}") else 0


class Server:
    def __init__(self, limit_mib, **settings):
        shutil.rmtree(f"{DIRECTORY}/data", ignore_errors=True)
        write("memory.limit_in_bytes" if VERSION_1 else "memory.max", str(limit_mib << 20))
        if VERSION_1:
            write("memory.max_usage_in_bytes", "0")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.killed = kills()
        self.log = open(f"{DIRECTORY}/server.log", "w+")
        # The shell joins the group, and becomes the server.
        line = f'echo $$ >"{GROUP}/cgroup.procs" && exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", line, EXECUTABLE, "serve", "--listen", f"127.0.0.1:{self.port}"],
            cwd=DIRECTORY,
            env={"PATH": os.environ["PATH"], **settings},
            stderr=self.log,
        )
        for _ in range(200):
            if self.ask("GET", "/readyz") == 200:
                break
            time.sleep(0.05)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except OSError as error:
            return type(error).__name__
        finally:
            connection.close()

    def at_once(self, count, make):
        """Sends so many requests at once; how often each status came."""
        seen = {}
        lock = threading.Lock()

        def one(number):
            status = self.ask("POST", *make(number))
            with lock:
                seen[status] = seen.get(status, 0) + 1

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1))

    def settled(self, most):
        """The size when it is at most `most` again, or after the patience."""
        until = time.monotonic() + PATIENCE
        while self.rss() > most and time.monotonic() < until:
            time.sleep(0.25)
        return self.rss()

    def must(self, status, path, body):
        seen = self.ask("POST", path, body)
        assert seen == status, f"{path}: {seen}"

    def must_live(self, what):
        assert self.process.poll() is None and kills() == self.killed, f"{what}: the server was killed"
        assert self.ask("GET", "/readyz") == 200, f"{what}: the server does not answer"

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0
        self.log.seek(0)
        text = self.log.read()
        self.log.close()
        return text


def sign_in(number):
    return "/v1/auth/login", {"login": f"user{number}", "password": "a wrong password"}


def registration(number):
    name = f"user{number}"
    return "/v1/auth/register", {"login": name, "password": "a decent password", "email": f"{name}@example.org"}


def measure(limit_mib, **settings):
    server = Server(limit_mib, **settings)
    if settings:
        # What the first of its kind makes once (prepared statements, the list of common passwords) is no part of a burst.
        server.must(201, *registration("first"))
        server.must(401, *sign_in("first"))
        time.sleep(PATIENCE / 4)
    time.sleep(1)
    start = server.rss()
    print(f"{limit_mib} MiB: {start} KiB at the start", flush=True)
    bursts = [("30 wrong sign-ins", 30, sign_in), ("200 at once", 200, sign_in)]
    if settings:
        bursts.append(("200 registrations", 200, registration))
        bursts.append(("200 wrong passwords", 200, sign_in))
    for name, count, make in bursts:
        before = time.monotonic()
        seen = server.at_once(count, make)
        took = time.monotonic() - before
        server.must_live(name)
        peak = server.rss()
        print(f"  {name}: {seen} in {took:.1f} s; {peak} KiB", flush=True)
    most = start + (LONG_SLACK_KIB if settings else SLACK_KIB)
    after = server.settled(most)
    log = server.stop()
    told = re.search(r"at most (\d+) passwords? (?:is|are) hashed at once.*", log)
    print(f"  idle: {after} KiB; the group took {most_used()} KiB at most; {told.group(0)}", flush=True)
    assert f"{limit_mib} MiB that {GROUP}/" in told.group(0), told.group(0)
    assert after <= most, f"{after - start} KiB did not go back"
    return int(told.group(1))


# How many hashes a machine with many cores makes at once: this one may have fewer.
for limit, threads in [(128, 1), (256, 3), (512, 6)]:
    measure(limit)
    settings = {
        "ARKLOOP_REGISTRATION__MODE": "open",
        "ARKLOOP_RATE_LIMIT__ENABLED": "false",
        "ARKLOOP_PASSWORD__HASH_THREADS": str(threads),
    }
    assert measure(limit, **settings) == threads
