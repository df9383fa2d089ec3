"""Refreshes sessions 500 times a second, each a write, while commands write from other processes; prints how long those took."""

import http.client
import json
import subprocess
import sys
import threading
import time

CLIENTS, RATE, COMMANDS, LIMIT_MS = 10, 500, 100, 500
base, arkloop, data_dir = sys.argv[1:]
address = base.removeprefix("http://")
over = threading.Event()
refreshes = [0] * CLIENTS
faults = []


def refresh_steadily(number):
    """Refreshes one session at its share of the rate, following its own cookie."""
    connection = http.client.HTTPConnection(address)
    body = {"login": f"writer-{number}", "password": "a quiet harbour", "email": f"writer-{number}@example.org"}
    connection.request("POST", "/v1/auth/register", json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    due = time.monotonic()
    while not over.is_set():
        cookie = response.getheader("set-cookie").split(";")[0]
        connection.request("POST", "/v1/auth/refresh", headers={"cookie": cookie})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            faults.append(f"a refresh answered {response.status}")
            return
        refreshes[number] += 1
        due += CLIENTS / RATE
        time.sleep(max(0.0, due - time.monotonic()))


threads = [threading.Thread(target=refresh_steadily, args=(number,)) for number in range(CLIENTS)]
for thread in threads:
    thread.start()
time.sleep(1)
before, started, took = sum(refreshes), time.monotonic(), []
for _ in range(COMMANDS):
    began = time.monotonic()
    command = [arkloop, "--data-dir", data_dir, "-q", "invite", "create"]
    done = subprocess.run(command, capture_output=True, text=True)
    took.append((time.monotonic() - began) * 1000)
    if done.returncode != 0 or "locked" in done.stderr:
        faults.append(f"exit {done.returncode}: {done.stderr.strip()}")
rate = (sum(refreshes) - before) / (time.monotonic() - started)
over.set()
for thread in threads:
    thread.join()

took.sort()
print(f"{rate:.0f} writes/s beside {COMMANDS} commands: median {took[len(took) // 2]:.0f} ms, maximum {took[-1]:.0f} ms")
if rate < 0.9 * RATE:
    faults.append(f"only {rate:.0f} writes/s instead of {RATE}: the machine is too busy for this to show anything")
if took[-1] > LIMIT_MS:
    faults.append(f"a command took {took[-1]:.0f} ms, the limit is {LIMIT_MS} ms")
print("\n".join(faults) or "ok")
sys.exit(bool(faults))
