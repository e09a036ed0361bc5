#!/usr/bin/env bash
# Makes sure that the machine has what no step can do without: cargo, rustfmt, clippy and a
# C compiler (for linking and for the bundled SQLite).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
if ! command -v cargo >/dev/null; then
  fail "cargo is not on the PATH; install Rust with rustup (https://rustup.rs)"
fi

if ! command -v cc >/dev/null; then
  debian_packages "a C compiler (cc)" "to link programs and to build SQLite" gcc libc6-dev
fi

# rustup's minimal profile leaves these out.
for component in rustfmt clippy; do
  if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
    if ! command -v rustup >/dev/null; then
      fail "the Rust toolchain lacks $component, and there is no rustup to install it with"
    fi
    say "installing $component with rustup, for the step of that name"
    quietly "rustup-$component" rustup component add "$component"
  fi
done
