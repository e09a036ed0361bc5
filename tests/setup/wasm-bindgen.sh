#!/usr/bin/env bash
# Prints the path of wasm-bindgen, the program, in the version of wasm-bindgen, the crate, in
# Cargo.lock (they speak a protocol of their own); builds it from crates.io first if it is not in
# the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
if [[ -z $version || $version == *$'\n'* ]]; then
  fail "Cargo.lock does not name one version of wasm-bindgen: '${version//$'\n'/, }'"
fi

# The default features are TLS for a test runner that is not installed.
crate_tool wasm-bindgen-cli "$version" wasm-bindgen \
  "to make the Worker's JavaScript (about a minute)" --no-default-features
printf '%s\n' "$tool"
