"""Runs the blocks of docs/integrate.md: python3 integrate.py EXECUTABLE DIRECTORY RUST_EXAMPLE

DIRECTORY has the npm packages. A block names its file in its first line; blocks of shell commands run in order, in one shell.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

EXECUTABLE, DIRECTORY, RUST_EXAMPLE = sys.argv[1:]
ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = pathlib.Path(DIRECTORY)
BASE = "http://localhost:8080"
JACKSON = ":".join(f"/usr/share/java/jackson-{part}.jar" for part in ("core", "databind", "annotations"))
ACCOUNT = {"login": "verifier", "password": "seven purple lanterns"}
failures = []


def blocks():
    """The language and the text of each block."""
    text = (ROOT / "docs/integrate.md").read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    assert text.count("\n```") == 2 * len(found), "a block has no language, or no end"
    return found


def write_blocks():
    """Writes each block into its file; the names by language."""
    names, shell = {}, []
    for language, text in blocks():
        if language == "sh":
            shell.append(text)
            continue
        first = text.splitlines()[0]
        name = re.fullmatch(r"(?:#|//|<!--) (\S+)(?: -->)?", first)
        assert name, f"a block of {language} does not name its file: {first}"
        names.setdefault(language, []).append(name[1])
        path = WORK / name[1]
        # The same file again is another part of it.
        if path.exists():
            text = path.read_text() + text
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (WORK / "pasted.sh").write_text("set -euo pipefail\n" + "".join(shell))
    return names


class Server:
    """The server of the document, with its configuration and what is set besides."""

    def __init__(self, clock=None, **settings):
        environment = os.environ | {"ARKLOOP_RATE_LIMIT__ENABLED": "false"} | settings
        if clock:
            library = os.environ["FAKETIME_LIBRARY"]
            environment |= {"LD_PRELOAD": library, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.log = open(WORK / "server.log", "w")
        command = [EXECUTABLE, "--config", "arkloop.toml", "serve"]
        self.process = subprocess.Popen(command, cwd=WORK, env=environment, stdout=self.log, stderr=self.log)
        for _ in range(100):
            try:
                return urllib.request.urlopen(f"{BASE}/healthz").close()
            except OSError:
                time.sleep(0.1)
        sys.exit((WORK / "server.log").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def post(path, **fields):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(BASE + path, json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def sign_in():
    return post("/v1/auth/login", **ACCOUNT)["access_token"]


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def tokens():
    """Tokens that are good, and tokens that are bad in one way each."""
    good, bad = {}, {}
    with Server(clock="-2h"):
        post("/v1/auth/register", email="verifier@example.org", **ACCOUNT)
        bad["expired"] = sign_in()
    with Server(ARKLOOP_TOKENS__AUDIENCE="another"):
        bad["for another audience"] = sign_in()
    with Server(ARKLOOP_SERVER__PUBLIC_URL="http://localhost:8081", ARKLOOP_SERVER__LISTEN="127.0.0.1:8080"):
        bad["of another issuer"] = sign_in()
    with Server(ARKLOOP_DATA_DIR=str(WORK / "another"), ARKLOOP_SERVER__LISTEN="127.0.0.1:8080"):
        post("/v1/auth/register", email="verifier@example.org", **ACCOUNT)
        bad["of another server"] = sign_in()
    with Server(clock="+20s"):
        good["of a clock that is ahead"] = sign_in()
    with Server():
        good["good"] = token = sign_in()
    claims = jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "ES256", header
    bad["with other claims"] = ".".join([head, part(claims | {"sub": claims["sid"]}), signature])
    bad["without a signature"] = ".".join([part(header | {"alg": "none"}), body, ""])
    bad["with an empty signature"] = ".".join([head, body, ""])
    bad["of another key"] = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", header)
    bad["signed by the public key as a password"] = jwt.encode(claims, "x" * 32, "HS256", {"kid": header["kid"]})
    bad["no token"] = "nothing"
    return claims["sub"], good, bad


def run(*command, **options):
    return subprocess.run(command, cwd=WORK, capture_output=True, text=True, timeout=120, **options)


def verify(language, command, account, good, bad):
    """That a program prints the account of good tokens, and refuses the others."""
    for kind, token in good.items():
        done = run(*command, token)
        if (done.returncode, done.stdout.strip()) != (0, account):
            failures.append(f"{language} refuses a token {kind}: {done.stdout}{done.stderr}")
    # One that failed for another reason, such as the network, would have refused the good ones too.
    for kind, token in bad.items():
        done = run(*command, token)
        if done.returncode == 0 or account in done.stdout:
            failures.append(f"{language} takes a token {kind}")
    print(f"{language}: {len(good)} good and {len(bad)} bad tokens", flush=True)


def rust_is_as_printed():
    """The example that cargo has compiled is the one of the document, apart from what allows it to print."""
    compiled = (ROOT / "examples/verify.rs").read_text()
    compiled = compiled[compiled.index("use std") :]
    printed = (WORK / "examples/verify.rs").read_text().split("\n", 1)[1]
    if compiled != printed:
        failures.append("examples/verify.rs is not what docs/integrate.md prints")


def programs(names):
    """How each program for verifying is run, by the file of its block."""
    assert {"verify.mjs", "app.js", "welcome.js"} == set(names["js"]), names
    commands = {
        "python": [sys.executable, "verify.py"],
        "node": ["node", "verify.mjs"],
        "rust": [RUST_EXAMPLE],
        "java": ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JACKSON}:classes", "VerifyToken"],
        "go": ["./verify-go"],
    }
    rust_is_as_printed()
    subprocess.run(["javac", "-cp", JACKSON, "-d", "classes", "VerifyToken.java"], cwd=WORK, check=True)
    subprocess.run(["go", "build", "-o", "verify-go", "verify.go"], cwd=WORK, check=True)
    return commands


def check(what, *command):
    done = run(*command)
    print(f"{what}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode != 0:
        failures.append(f"{what}: {done.stdout}{done.stderr}")


def main():
    names = write_blocks()
    assert set(names) == {"toml", "html", "js", "ts", "python", "rust", "java", "go"}, names
    commands = programs(names)
    account, good, bad = tokens()
    with Server(ARKLOOP_TOKENS__ACCESS_TTL="1s"):
        expired = {"expired within the leeway": sign_in()}
        time.sleep(2)
        for language, command in commands.items():
            verify(language, command, account, expired, {})
    with Server():
        for language, command in commands.items():
            verify(language, command, account, good, bad)
        check("the commands", "bash", "pasted.sh")
        check("the web client's configuration", EXECUTABLE, "--config", "web-client.toml", "config", "show")
        check("the types", "node_modules/.bin/tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "session.ts")
        os.environ["NODE_PATH"] = str(WORK / "node_modules")
        check("the pages", "node", str(ROOT / ".ci/integrate.mjs"), str(WORK), ACCOUNT["login"], ACCOUNT["password"])
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(len(failures) > 0)


main()
