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

# debian_packages WHAT WHY PACKAGE...: installs packages that bring WHAT, which is missing.
debian_packages() {
  local what=$1 why=$2
  shift 2
  if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
    fail "$what is missing, $why; on Debian: sudo apt-get install $*"
  fi
  say "installing $* with apt-get, $why"
  quietly apt-update apt-get update
  quietly "apt-$1" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "$@"
}

# crate_tool CRATE VERSION PROGRAM WHY OPTION...: a program of a crate, built from crates.io into
# the cache unless it is there; sets `tool` to its path. OPTIONs are for `cargo install`.
crate_tool() {
  local crate=$1 version=$2 program=$3 why=$4
  local folder=$cache/$crate-$version
  shift 4
  tool=$folder/bin/$program
  if [[ -x $tool ]]; then
    return
  fi
  say "installing $crate $version from crates.io, $why"
  quietly "$crate" install_crate "$crate" --version "$version" --bin "$program" "$@" \
    --root "$folder" --target-dir "$folder/target"
  rm -rf "$folder/target"
}

install_crate() {
  local log=$cache/log/$1.log install
  # Unoptimised: a build takes a fraction of the time, and these programs have little to do.
  # RUSTC and the like may be set for building WASM; a tool is built for this machine.
  install=(env -u RUSTC -u RUSTFLAGS -u CARGO_BUILD_TARGET
    CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols
    cargo install --debug --force "$@")
  # With the versions that the crate was released with. A copy of crates.io that lags behind may
  # have the crate without the newest of those.
  "${install[@]}" --locked || {
    grep --quiet "failed to select a version" "$log" && "${install[@]}"
  }
}
