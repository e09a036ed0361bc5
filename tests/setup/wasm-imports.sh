#!/usr/bin/env bash
# Builds the redirect core into a WASM module and checks that the module imports nothing: what
# decides a redirect has no clock, no randomness and no I/O, on whichever host it runs.
# Expects the environment that wasm.sh prints.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
target=wasm32-unknown-unknown
probe=tests/setup/wasm-probe
# A folder of its own, because the compiler may be another one than the rest is built with.
export CARGO_TARGET_DIR=$repo/target/wasm

# The probe is no member of the workspace (its profile is that of an edge module), but must be
# built from the same versions. Copied only when the workspace's file has changed, so that
# cargo looks up the probe's own dependency once, not on each run.
if [[ Cargo.lock -nt $probe/Cargo.lock ]]; then
  cp Cargo.lock "$probe/Cargo.lock"
fi

cargo build --manifest-path "$probe/Cargo.toml" --lib --release --target "$target"
module=$CARGO_TARGET_DIR/$target/release/waypost_wasm_probe.wasm
cargo run --quiet --manifest-path "$probe/Cargo.toml" --bin imports -- "$module"
