#!/usr/bin/env bash
# Prints the path of cargo-deny; builds it from crates.io first if it is not in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=0.20.2
folder=$cache/cargo-deny-$version

if [[ ! -x $folder/bin/cargo-deny ]]; then
  say "installing cargo-deny $version from crates.io, to check licences and bans (about a minute)"
  # Unoptimised: a build takes a minute instead of five, and a check takes a second either way.
  quietly cargo-deny env CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols \
    cargo install cargo-deny --version "$version" --locked --debug --force \
    --root "$folder" --target-dir "$folder/target"
  rm -rf "$folder/target"
fi
printf '%s\n' "$folder/bin/cargo-deny"
