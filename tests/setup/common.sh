# Shared by the test command and the scripts beside this file, which source it.
# Sets: repo (this repository's root) and cache (where tools are kept between runs).
# shellcheck shell=bash disable=SC2034

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${WAYPOST_CACHE:-$repo/.cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
# Absolute from here on, because the scripts change directory.
export WAYPOST_CACHE=$cache

# rustup puts cargo here; a shell that is not a login shell may not have it on its PATH.
if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
  PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi

# Tells a person something. Standard output is kept for what a script answers to its caller.
say() {
  printf '  %s\n' "$*" >&2
}

# Says what is missing and ends the script.
fail() {
  printf '  error: %s\n' "$*" >&2
  exit 1
}

# quietly NAME COMMAND...: runs an external command with its output in a log, a sign of life
# every 20 seconds, and the log's end if it fails.
quietly() {
  local name=$1 log=$cache/log/$1.log ticker status=0
  shift
  mkdir -p "$cache/log"
  (
    started=$SECONDS
    # The descriptors are closed so that a leftover sleep never keeps a pipe open.
    while sleep 20 >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null; do
      say "still at it: $name, $((SECONDS - started)) s"
    done
  ) &
  ticker=$!
  "$@" </dev/null >"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if [[ $status != 0 ]]; then
    tail -n 30 "$log" >&2
    fail "$name failed (exit code $status); the whole log is $log"
  fi
}
