#!/usr/bin/env bash
# Builds the Worker: edge/worker/build/worker/shim.mjs and index.wasm beside it. wrangler calls it
# (wrangler.toml); by hand:
#
#   edge/worker/build.sh [--out-dir FOLDER] [CARGO OPTION...]
#
# --out-dir FOLDER   where to put it instead; an absolute path
# CARGO OPTION       for example --features inject, for tests
# --not-deployable   refuses to build for `wrangler deploy`: wrangler.toml gives it to the default
#                    environment
#
# Needs cargo with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`),
# and worker-build in the version below, which is installed if it is missing and fetches
# wasm-bindgen, wasm-opt and esbuild. The variables WORKER_BUILD_BIN, WASM_BINDGEN_BIN,
# WASM_OPT_BIN and ESBUILD_BIN name programs to use instead.
set -euo pipefail

version=0.8.7
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
out=$here/build

options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --out-dir)
      out=$2
      shift
      ;;
    --not-deployable)
      case ${WRANGLER_COMMAND:-} in
        deploy | "versions upload")
          cat >&2 <<'TEXT'
error: the default environment is for `wrangler dev`; it has no domain, no namespace and no keys.
Deploy a named one:  wrangler deploy --env staging   or   wrangler deploy --env production
TEXT
          exit 1
          ;;
      esac
      ;;
    *) options+=("$1") ;;
  esac
  shift
done

builder=${WORKER_BUILD_BIN:-worker-build}
if [[ $("$builder" --version 2>/dev/null) != "$version" ]]; then
  if [[ -n ${WORKER_BUILD_BIN:-} ]]; then
    echo "error: $WORKER_BUILD_BIN is not worker-build $version" >&2
    exit 1
  fi
  tools=$repo/target/tools
  builder=$tools/bin/worker-build
  if [[ $("$builder" --version 2>/dev/null) != "$version" ]]; then
    echo "installing worker-build $version (once, a few minutes)" >&2
    cargo install --quiet --locked --root "$tools" "worker-build@$version"
  fi
fi

# The module is the same wherever it is built: panics name files below these words. What the linker
# strips is not to include what tells wasm-bindgen of the module's features.
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' \
  "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=crates" \
  "--remap-path-prefix=$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/src/rust=rust" \
  "--remap-path-prefix=$repo=waypost" \
  "-Clink-arg=--keep-section=target_features")
CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%?}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target/wasm}
export CUSTOM_SHIM=$here/js/shim.js

cd "$here"
"$builder" --profile edge --out-dir "$out" "${options[@]}"
