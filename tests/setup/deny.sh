#!/usr/bin/env bash
# Prints the path of cargo-deny; builds it from crates.io first if it is not in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

crate_tool cargo-deny 0.20.2 cargo-deny "to check licences and bans (about a minute)"
printf '%s\n' "$tool"
