#!/usr/bin/env bash
# Runs what the handwritten documents tell people to type, as printed.
#
# Usage: tests/docs.sh [FILE...]     README.md and docs/*.md by default
#
# A block between ```sh and ``` is run if the line before it is one of these:
#
#   <!-- run -->         the blocks of a file run in order, in one shell
#   <!-- run server -->  runs beside the others, until the end of the file; before the next block
#                        its /health answers and WAYPOST_KEY is the key it printed
#
# A file without a server block gets the server of `cargo run --release`. Each file has a fresh
# directory to run in, with the program in target/ as in the repository. What differs from a
# person's shell: the port 8080 is a free one instead, and curl fails on statuses from 400 on.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup/common.sh"

# Nothing is measured here, and half of a release is optimising. CI builds without.
if [[ ${CI:-} == true ]]; then
  export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
fi

# In the repository, so that cargo finds it from there.
scratch=$repo/target/docs

# Most time for a server to be built and to start.
server_seconds=1800

# extract FILE TO: writes the marked blocks to TO/N.sh, and for each a line to standard output:
# `run` or `server`, N, and where in FILE it starts.
extract() {
  awk -v to="$2" '
    function stop(text) {
      printf "  error: %s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
      failed = 1
      exit 1
    }
    inside { if ($0 == "```") { inside = 0; close(block) } else { print > block }; next }
    mark {
      if ($0 != "```sh") stop("the line after a run marker must be ```sh")
      block = to "/" (++count) ".sh"
      printf "" > block
      print mark, count, FNR + 1
      inside = 1
      mark = ""
      next
    }
    $0 == "<!-- run -->" { mark = "run"; next }
    $0 == "<!-- run server -->" { mark = "server"; next }
    /<!-- *run/ { stop("a run marker is <!-- run --> or <!-- run server -->, alone on its line") }
    END { if (!failed && (inside || mark)) stop("the last marked block has no end") }
  ' "$1"
}

# script FILE BLOCKS LISTING: the script that runs the extracted blocks of a file.
script() {
  local file=$1 blocks=$2 listing=$3 kind number line
  printf 'set -euo pipefail\n'
  declare -f say fail start_server stop_server
  printf 'server_seconds=%d\nserver=\ntrap stop_server EXIT\n' "$server_seconds"
  if ! grep -q '^server ' <<<"$listing"; then
    printf 'cargo run --release\n' >"$blocks/server.sh"
    printf 'start_server %q\n' "$blocks/server.sh"
  fi
  while read -r kind number line; do
    printf "printf '\\\\n--- %%s\\\\n' %q\n" "$file:$line"
    case $kind in
      server) printf 'start_server %q\n' "$blocks/$number.sh" ;;
      run) cat "$blocks/$number.sh" ;;
    esac
  done <<<"$listing"
}

# start_server SCRIPT: runs it in a process group of its own until stop_server.
start_server() {
  local log=$1.log deadline=$((SECONDS + server_seconds))
  set -m
  bash -euo pipefail "$1" </dev/null >"$log" 2>&1 &
  server=$!
  set +m
  until curl --silent --output /dev/null "$WAYPOST_URL/health" 2>/dev/null; do
    if ! kill -0 "$server" 2>/dev/null || [[ $SECONDS -ge $deadline ]]; then
      tail -n 30 "$log" >&2
      fail "the server did not start"
    fi
    sleep 0.1
  done
  if [[ -z ${WAYPOST_KEY:-} ]]; then
    WAYPOST_KEY=$(grep -oE 'wp_[A-Za-z0-9_]+' "$log" | head -n 1) || fail "the server printed no key"
    export WAYPOST_KEY
  fi
}

stop_server() {
  if [[ -n $server ]]; then
    kill -TERM -- "-$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
}

# A port nobody listens on.
free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 12000))
    if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%d' "$port"
      return
    fi
  done
}

# run_file FILE NUMBER: runs the marked blocks of a file.
run_file() {
  local file=$1 here=$scratch/$2 port listing
  rm -rf "$here"
  mkdir -p "$here/blocks" "$here/run"
  listing=$(extract "$file" "$here/blocks")
  if [[ -z $listing ]]; then
    say "$file: nothing to run"
    return
  fi
  say "$file: blocks to run: $(wc -l <<<"$listing")"
  port=$(free_port)
  script "$file" "$here/blocks" "$listing" >"$here/script.sh"
  sed -i.printed -E "s/(127\.0\.0\.1|localhost):8080/\1:$port/g" "$here/script.sh" "$here"/blocks/*.sh
  ln -s "${CARGO_TARGET_DIR:-$repo/target}" "$here/run/target"
  printf '%s\n' fail-with-body show-error 'max-time = 60' >"$here/.curlrc"
  (
    cd "$here/run"
    # Settings of whoever runs this are not the readers'.
    unset "${!WAYPOST_@}"
    export CURL_HOME=$here WAYPOST_LISTEN=127.0.0.1:$port WAYPOST_URL=http://127.0.0.1:$port
    quietly "docs-$2" bash "$here/script.sh"
  )
}

cd "$repo"
shopt -s nullglob
files=("$@")
if [[ ${#files[@]} == 0 ]]; then
  files=(README.md docs/*.md)
fi
number=0
for file in "${files[@]}"; do
  number=$((number + 1))
  run_file "$file" "$number"
done
