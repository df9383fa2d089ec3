# shellcheck shell=bash
# Sourced by the scripts beside it, which set -euo pipefail: a directory that goes away, tools, and a server that is stopped.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
arkloop=${ARKLOOP:-${CARGO_TARGET_DIR:-$root/target}/release/arkloop}
work=$(mktemp -d)
server_pid=
# The server is on this machine, whatever proxy the packages come through.
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost

finish() {
  local status=$?
  # What a script started by itself, it stops by itself.
  if declare -F stop_the_rest >/dev/null; then stop_the_rest "$status" || true; fi
  if [[ -n $server_pid ]]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    if [[ $status -ne 0 && -f $work/server.log ]]; then
      echo "The end of the server's log:"
      tail -n 30 "$work/server.log"
    fi
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

install() {
  local sudo=
  [[ $EUID -eq 0 ]] || sudo=sudo
  # One at a time, also when scripts run beside each other.
  (
    flock 9
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
  ) 9<"$root/.ci/lib.sh"
}

# Installs the Debian package $2 unless the command $1 is there.
need() {
  command -v "$1" >/dev/null || install "$2"
}

# Exact versions of what more than one script installs.
playwright=playwright-core@1.65.1
# The accessibility checker (MPL-2.0).
axe=axe-core@4.14.1
jose=jose@6.2.18
# PyJWT, and all that it needs.
pyjwt=(pyjwt==2.15.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 typing_extensions==4.16.0)

# Installs npm packages into the directory $1.
npm_install() {
  npm install --silent --no-audit --no-fund --prefix "$1" "${@:2}"
}

# Makes the virtual environment $work/venv of exactly these packages: one that is needed and not named fails.
pip_install() {
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$@"
  "$work/venv/bin/pip" check --disable-pip-version-check
}

wait_for_server() {
  for _ in {1..100}; do
    curl -fsS -o "$work/healthz" "$1/healthz" 2>/dev/null && return
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the server did not answer at $1" >&2
  return 1
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts the release build on a free port with an empty data directory, without rate limits, since each script is one client;
# arguments are further variables. Sets base.
start_server() {
  [[ -x $arkloop ]] || { echo "no executable at $arkloop: run cargo build --release" >&2; return 1; }
  local port
  port=$(free_port)
  base=http://127.0.0.1:$port
  # exec, so that the pid is the server's own and not a shell's.
  (cd "$work" && exec env ARKLOOP_DATA_DIR="$work/data" ARKLOOP_SERVER__LISTEN="127.0.0.1:$port" \
    ARKLOOP_REGISTRATION__MODE=open ARKLOOP_RATE_LIMIT__ENABLED=false "$@" "$arkloop" serve) >"$work/server.log" 2>&1 &
  server_pid=$!
  wait_for_server "$base"
}
