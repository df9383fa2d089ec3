"""Two thousand connections drip heads and bodies or say nothing, then as many ask once and stay; prints how they fared,
what others had to wait meanwhile, and how much memory the server took."""

import http.client
import json
import multiprocessing
import resource
import selectors
import socket
import sys
import time

ATTACKERS, PER_ADDRESS, SLACK = 2000, 100, 5.0
DEADLINE = 10.0  # of a head and of a body
P99_MS, RSS_MIB = 50, 200
base, pid = sys.argv[1:]
host, port = base.removeprefix("http://").split(":")
BEGINNINGS = [
    b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-drip: ",
    b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n",
    b"",
]


def connect(number):
    """From an address of its own for every hundred: one address may not have so many."""
    connection = socket.socket()
    connection.bind((f"127.0.1.{1 + number // PER_ADDRESS}", 0))
    connection.connect((host, int(port)))
    return connection


def drip(ages):
    """Holds every connection open with a byte a second for as long as the server lets it."""
    selector = selectors.DefaultSelector()
    for number in range(ATTACKERS):
        connection = connect(number)
        beginning = BEGINNINGS[number % len(BEGINNINGS)]
        connection.sendall(beginning)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, (bool(beginning), time.monotonic()))
    next_byte = time.monotonic() + 1
    while selector.get_map():
        for key, _ in selector.select(max(0.0, next_byte - time.monotonic())):
            try:
                closed = not key.fileobj.recv(4096)
            except OSError:
                closed = True
            if closed:
                ages.append(time.monotonic() - key.data[1])
                selector.unregister(key.fileobj)
                key.fileobj.close()
        if time.monotonic() >= next_byte:
            next_byte += 1
            for key in list(selector.get_map().values()):
                if key.data[0]:
                    try:
                        key.fileobj.send(b"a")
                    except OSError:
                        pass


def linger(ages):
    """Asks once on every connection and stays; counts those that are still open after fifteen seconds."""
    connections = []
    for number in range(ATTACKERS):
        connection = connect(number)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        connections.append(connection)
    time.sleep(15)
    for connection in connections:
        connection.setblocking(False)
        try:
            while connection.recv(4096):
                pass
        except BlockingIOError:
            ages.append(1.0)
        except OSError:
            pass


def ask(token, waits, over):
    """Asks a hundred times a second, every other time on a new connection.

    A kept connection may have made way meanwhile, or be about to: then the request is sent again, as HTTP clients do.
    """
    kept = http.client.HTTPConnection(host, int(port))
    number = 0
    while not over.is_set():
        number += 1
        began = time.monotonic()
        connection = kept if number % 2 else http.client.HTTPConnection(host, int(port))
        headers = {"authorization": f"Bearer {token}"}
        try:
            connection.request("GET", "/v1/me", headers=headers)
            response = connection.getresponse()
        except OSError:
            connection.close()
            connection.request("GET", "/v1/me", headers=headers)
            response = connection.getresponse()
        response.read()
        waits.append((time.monotonic() - began) * 1000 if response.status == 200 else -1.0)
        if connection is not kept:
            connection.close()
        time.sleep(max(0.0, 0.01 - (time.monotonic() - began)))


def peak_mib():
    with open(f"/proc/{pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) / 1024


def percentile(waits, share):
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * share))]


resource.setrlimit(resource.RLIMIT_NOFILE, (ATTACKERS + 256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
body = json.dumps({"login": "alice", "password": "a quiet harbour", "email": "alice@example.org"})
connection = http.client.HTTPConnection(host, int(port))
connection.request("POST", "/v1/auth/register", body, {"content-type": "application/json"})
token = json.load(connection.getresponse())["access_token"]
wrong = []
with multiprocessing.Manager() as manager:
    for name, attack in [("drip", drip), ("linger", linger)]:
        ages, waits, over = manager.list(), multiprocessing.Manager().list(), multiprocessing.Event()
        asker = multiprocessing.Process(target=ask, args=(token, waits, over))
        attacker = multiprocessing.Process(target=attack, args=(ages,))
        asker.start()
        attacker.start()
        attacker.join()
        over.set()
        asker.join()
        ages, waits = list(ages), list(waits)
        print(
            f"{name}: {len(waits)} requests of others, p50 {percentile(waits, 0.5):.1f} ms, "
            f"p99 {percentile(waits, 0.99):.1f} ms (aim: {P99_MS}), longest {max(waits):.0f} ms; "
            f"peak memory of the server {peak_mib():.0f} MiB"
        )
        if len(waits) < 100 or min(waits) < 0 or asker.exitcode != 0:
            wrong.append(f"{name}: others were not served")
        if name == "drip":
            print(f"drip: {len(ages)} connections closed after {min(ages):.1f} to {max(ages):.1f} s")
            if len(ages) != ATTACKERS or max(ages) > DEADLINE + SLACK:
                wrong.append("drip: not every connection was closed within its deadline")
        else:
            print(f"linger: {len(ages)} of {ATTACKERS} idle connections were left open")
if peak_mib() > RSS_MIB:
    wrong.append(f"the server took more than {RSS_MIB} MiB")
sys.exit("\n".join(wrong) or 0)
