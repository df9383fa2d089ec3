"""Registers accounts and refreshes sessions, together 500 times a second, while a backup is made; restores it and looks for every account."""

import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

CLIENTS, RATE, LIMIT_S = 10, 500, 10
base, arkloop, data_dir, work = sys.argv[1:]
address = base.removeprefix("http://")
over = threading.Event()
writes = [0] * CLIENTS
answered = []
faults = []


def register(connection, login):
    """Registers an account, and notes it once that was answered; the refresh cookie."""
    body = {"login": login, "password": "a quiet harbour", "email": f"{login}@example.org"}
    connection.request("POST", "/v1/auth/register", json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    if response.status != 201:
        raise RuntimeError(f"a registration answered {response.status}")
    answered.append(login)
    return response.getheader("set-cookie").split(";")[0]


def write_steadily(number):
    """Refreshes one session at its share of the rate; every tenth write is a registration."""
    connection = http.client.HTTPConnection(address)
    try:
        cookie = register(connection, f"writer-{number}")
        due = time.monotonic()
        while not over.is_set():
            if writes[number] % 10 == 0:
                register(connection, f"writer-{number}-{writes[number]}")
            else:
                connection.request("POST", "/v1/auth/refresh", headers={"cookie": cookie})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    raise RuntimeError(f"a refresh answered {response.status}")
                cookie = response.getheader("set-cookie").split(";")[0]
            writes[number] += 1
            due += CLIENTS / RATE
            time.sleep(max(0.0, due - time.monotonic()))
    except (RuntimeError, OSError) as fault:
        faults.append(str(fault))


def run(*arguments):
    """Runs a command that must succeed; its JSON."""
    done = subprocess.run([arkloop, "--json", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{arguments}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


threads = [threading.Thread(target=write_steadily, args=(number,)) for number in range(CLIENTS)]
for thread in threads:
    thread.start()
time.sleep(2)
before, written, began = list(answered), sum(writes), time.monotonic()
backup = run("--data-dir", data_dir, "backup", f"{work}/under-load.db")
took = time.monotonic() - began
rate = (sum(writes) - written) / took
over.set()
for thread in threads:
    thread.join()

trial = Path(work, "trial")
trial.mkdir(mode=0o700)
shutil.copy(Path(data_dir, "arkloop.key"), trial)
restored = run("--data-dir", str(trial), "restore", f"{work}/under-load.db", "--yes")
names = {user["username"] for user in run("--data-dir", str(trial), "user", "list")}
missing = [login for login in before if login not in names]
print(f"{rate:.0f} writes/s beside a backup of {backup['bytes']} bytes, which took {took * 1000:.0f} ms;")
print(f"{len(before)} accounts were answered before it, {restored['users']} are in it, {len(missing)} are missing")
if took > LIMIT_S:
    faults.append(f"the backup took {took:.1f} s, the limit is {LIMIT_S} s")
if missing:
    faults.append(f"missing: {missing[:5]}")
if rate < 0.5 * RATE:
    faults.append(f"only {rate:.0f} writes/s instead of {RATE}: the machine is too busy for this to show anything")
print("\n".join(faults) or "ok")
sys.exit(bool(faults))
