#!/usr/bin/env bash
# Measures the Cloudflare Worker on workerd beside the least a Worker can do, in one run: a constant
# 302 from JavaScript is the floor for links in memory; a hand-written JavaScript Worker that reads
# KV and redirects is the measure for links in the store. Prints sizes, time to start, requests a
# second, processor time of a request, and the ratios.
#
# Usage: tests/bench/edge.sh [SECONDS] [ROUNDS]     length and number of rounds, 4 and 5 by default
# Needs wrk (Debian: wrk); installs the rest as tests/run does.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup/common.sh"

command -v wrk >/dev/null || { echo "wrk is needed" >&2; exit 2; }
cd "$repo"
environment=$(tests/setup/edge-tools.sh)
eval "$environment"
if [[ ! -f edge/worker/build/worker/index.wasm || -z ${WAYPOST_BENCH_AS_BUILT:-} ]]; then
  environment=$(tests/setup/wasm.sh wasm32-unknown-unknown)
  (
    eval "$environment"
    quietly worker edge/worker/build.sh
  )
fi
for file in shim.mjs index.wasm; do
  built=edge/worker/build/worker/$file
  printf '%-12s %8d bytes %8d with gzip\n' "$file" "$(wc -c <"$built")" \
    "$(gzip --best --stdout "$built" | wc -c)"
done
exec node tests/bench/edge/run.mjs "${1:-4}" "${2:-5}"
