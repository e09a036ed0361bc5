#!/usr/bin/env bash
# Prints the path of worker-build, which makes a Worker of a crate; builds it from crates.io first
# if it is not in the cache. It would download three tools unless told where they are: set
# WASM_BINDGEN_BIN, WASM_OPT_BIN and ESBUILD_BIN (wasm-bindgen.sh, npm.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
# The one that the Worker's own build asks for.
version=$(sed -n 's/^version=//p' edge/worker/build.sh)
# What it would download with, here unused, is built on the system's OpenSSL.
if [[ ! -x $cache/worker-build-$version/bin/worker-build && $(uname -s) == Linux ]] &&
  [[ -z ${OPENSSL_DIR:-} ]] && ! pkg-config --exists openssl 2>/dev/null; then
  debian_packages "OpenSSL's development package" "to build worker-build" libssl-dev pkg-config
fi
crate_tool worker-build "$version" worker-build "to make a Worker of the crate (a minute or two)"
printf '%s\n' "$tool"
