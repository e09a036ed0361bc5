#!/usr/bin/env bash
# Prints what to `eval` so that the Worker can be built, checked and run: the programs on the PATH
# (node, wrangler, workerd, esbuild, wasm-opt, worker-build, wasm-bindgen), the names by which
# worker-build and the tests are told of them, and settings that keep wrangler to itself.
# Installs them into the cache first if they are not there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
programs=$(tests/setup/npm.sh)
worker_build=$(tests/setup/worker-build.sh)
wasm_bindgen=$(tests/setup/wasm-bindgen.sh)

printf 'export PATH=%q:$PATH\n' \
  "$programs:$(dirname "$worker_build"):$(dirname "$wasm_bindgen")"
# What worker-build would download.
printf 'export WASM_BINDGEN_BIN=%q WASM_OPT_BIN=%q ESBUILD_BIN=%q\n' \
  "$wasm_bindgen" "$programs/wasm-opt" "$programs/esbuild"
# Where the tests find the engine and the folder of programs.
printf 'export WAYPOST_WORKERD=%q WAYPOST_NODE_BIN=%q\n' "$programs/workerd" "$programs"
# No reports of usage or errors, no look for a newer version, no logs in HOME.
printf 'export WRANGLER_SEND_METRICS=false WRANGLER_SEND_ERROR_REPORTS=false\n'
printf 'export WRANGLER_HIDE_BANNER=true WRANGLER_LOG_PATH=%q\n' "$repo/target/edge/log"
