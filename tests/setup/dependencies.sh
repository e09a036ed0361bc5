#!/usr/bin/env bash
# Holds the crates that decide and count to what they may be built from:
# - everything waypost-core is built from, on any target, is listed in core-dependencies.txt;
# - wire, core, shell, outpost and service reach no runtime, server, database or vendor crate,
#   however many crates away (deny.toml can only look at direct parents).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
listed=tests/core-dependencies.txt
pure=(waypost-wire waypost-core waypost-shell waypost-outpost waypost-service)
foreign='tokio|async-std|smol|axum|hyper|actix-web|tower|reqwest|rusqlite|libsqlite3-sys'
foreign+='|lambda_.*|aws-.*|worker|worker-.*|spin-sdk|wasm-bindgen.*|js-sys|web-sys'

# The names of all crates that a package is built from, sorted, without itself.
built_from() {
  cargo tree --package "$1" --all-features --edges normal --target all --prefix none \
    --format '{p}' | cut -d ' ' -f 1 | sed "/^$1\$/d" | LC_ALL=C sort -u
}

for package in "${pure[@]}"; do
  names=$(built_from "$package")
  if found=$(grep -xE "$foreign" <<<"$names"); then
    fail "$package must not be built from: ${found//$'\n'/, } (cargo tree -p $package -i NAME tells why it is)"
  fi
done

names=$(built_from waypost-core)
if ! difference=$(diff -u --label "$listed" --label "cargo tree" "$listed" - <<<"$names"); then
  printf '%s\n' "$difference" >&2
  fail "the dependencies of waypost-core are not those in $listed; each one costs size and trust at the edge, so change the list only on purpose"
fi
