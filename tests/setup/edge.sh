#!/usr/bin/env bash
# Builds the two edges, holds the Worker to its size and to refusing a deployment without an
# environment, runs every case of tests/cases/redirect on all hosts and the tests of the edges on
# their engines, and prints what became of the cases on each host.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
# Most bytes of the Worker, JavaScript and WASM together, each compressed with gzip: 120 KiB.
worker_bytes=122880
# The Worker as it is deployed, and with a switch that makes it panic, for tests.
worker=$repo/edge/worker/build
scratch=$repo/target/edge
breakable=$scratch/inject
bundle=$scratch/bundle
component=$repo/target/wasm/wasm32-wasip2/edge/waypost_spin.wasm
# Where hosts leave what became of their cases.
conformance=${CARGO_TARGET_DIR:-$repo/target}/conformance
# Every host that the cases must have run on.
hosts=(core native worker spin)

locked=()
if [[ ${CI:-} == true ]]; then
  locked=(--locked)
fi

gzipped() {
  gzip --best --stdout -- "$1" | wc -c
}

# weigh NAME FILE...: prints the sizes of the files and sets `weight` to the sum compressed.
weigh() {
  local name=$1 file raw=0
  shift
  weight=0
  for file in "$@"; do
    raw=$((raw + $(wc -c <"$file")))
    weight=$((weight + $(gzipped "$file")))
  done
  printf '  %-8s %9d bytes %9d with gzip\n' "$name" "$raw" "$weight"
}

# As wrangler would upload it, which calls edge/worker/build.sh; to a named environment only.
build_worker() {
  local environment
  environment=$(tests/setup/wasm.sh wasm32-unknown-unknown)
  eval "$environment"
  # A folder of its own, because the compiler may be another one than the rest is built with.
  export CARGO_TARGET_DIR=$repo/target/wasm
  rm -rf "$bundle"
  wrangler deploy --dry-run --env production --outdir "$bundle"
  if wrangler deploy --dry-run >"$scratch/refused" 2>&1; then
    fail "wrangler deploy without an environment must be refused"
  fi
  if ! grep --quiet -- "--env production" "$scratch/refused"; then
    cat "$scratch/refused" >&2
    fail "wrangler deploy without an environment must be refused with what to type instead"
  fi
  edge/worker/build.sh --out-dir "$breakable" --features inject "${locked[@]}"
}

build_spin() {
  local environment
  environment=$(tests/setup/wasm.sh wasm32-wasip2)
  eval "$environment"
  cargo build "${locked[@]}" --package waypost-spin --profile edge \
    --target wasm32-wasip2 --target-dir target/wasm
}

# What became of the cases: a line for each host, Spin itself among them where it is installed.
print_table() {
  local host
  for host in "${hosts[@]}"; do
    if [[ ! -f $conformance/$host.txt ]]; then
      fail "the cases did not run on the host $host"
    fi
  done
  printf '\n'
  cargo run "${locked[@]}" --quiet --example conformance
}

environment=$(tests/setup/edge-tools.sh)
eval "$environment"
mkdir -p "$scratch"

(build_spin)
(build_worker)
weigh spin "$component"
find "$bundle" -name '*.js' -o -name '*.wasm' | LC_ALL=C sort >"$scratch/files"
mapfile -t files <"$scratch/files"
weigh worker "${files[@]}"
if ((weight > worker_bytes)); then
  fail "the Worker has $weight bytes with gzip, $((weight - worker_bytes)) more than it may have"
fi

export WAYPOST_WORKER_DIR=$worker/worker WAYPOST_WORKER_INJECT_DIR=$breakable/worker
export WAYPOST_SPIN_WASM=$component
rm -rf "$conformance"
# The hosts that need no engine; of the default members, so that nothing is built once more.
cargo test "${locked[@]}" --test redirect
cargo test "${locked[@]}" --package waypost-worker --package waypost-tests-worker \
  --package waypost-spin --package waypost-tests-spin
print_table
