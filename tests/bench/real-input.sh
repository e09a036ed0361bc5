#!/usr/bin/env bash
# Makes a link to every homepage that APT knows (tens of thousands), follows them with real user
# agents and compares the statistics with an independent count. Prints how long each part took.
# Only on Debian, after `apt-get update`.
#
# Usage: tests/bench/real-input.sh [FILE]     FILE: another list of addresses, one a line
set -euo pipefail
# shellcheck source=tests/setup/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup/common.sh"

list=${1:-}
if [[ -z $list ]]; then
  list=$cache/homepages.txt
  "$repo/tests/bench/homepages.sh" >"$list"
fi
say "$(wc -l <"$list") addresses"
WAYPOST_REAL_URLS=$(realpath "$list")
export WAYPOST_REAL_URLS
cd "$repo"
cargo test --release --package waypost-native --test binary -- --nocapture real_input
