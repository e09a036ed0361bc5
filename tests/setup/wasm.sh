#!/usr/bin/env bash
# wasm.sh [TARGET]: prints what to `eval` so that cargo can build for TARGET, one of
# wasm32-unknown-unknown (the default) and wasm32-wasip2: nothing if the Rust toolchain can do it
# by itself (or after `rustup target add`), else RUSTC and PATH, set to a compiler built from
# Debian's packages into the cache, which has both targets; see wasm-debian.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
target=${1:-wasm32-unknown-unknown}
# Raise the number whenever wasm-debian.sh makes something else.
debian=$cache/wasm-debian-2

has_target() {
  compgen -G "$(rustc --print sysroot)/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null
}

# Sets component_ld to a wasm-component-ld: the toolchain's own, or built from crates.io.
find_component_ld() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  component_ld=$(rustc --print sysroot)/lib/rustlib/$host/bin/wasm-component-ld
  if [[ ! -x $component_ld ]]; then
    crate_tool wasm-component-ld 0.5.31 wasm-component-ld "to link components (about a minute)"
    component_ld=$tool
  fi
}

if [[ ${WAYPOST_WASM:-} != debian ]]; then
  if has_target; then
    exit
  fi
  # Without the time limit a firewall that answers nothing would hold the build for minutes.
  if [[ ! -d $debian ]] && command -v rustup >/dev/null; then
    say "installing the target $target with rustup"
    if timeout 90 rustup target add "$target" >/dev/null 2>&1 && has_target; then
      exit
    fi
    say "rustup cannot fetch it here"
  fi
fi

if [[ ! -d $debian ]]; then
  if ! command -v apt-get >/dev/null; then
    fail "no $target: run 'rustup target add $target', or use a machine with Debian's packages"
  fi
  find_component_ld
  say "installing a Rust compiler for WASM from Debian's packages (about two minutes, 190 MB)"
  rm -rf "$debian.part"
  oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  quietly wasm-debian tests/setup/wasm-debian.sh "$debian.part" "$oldest" "$component_ld"
  mv "$debian.part" "$debian"
fi
# RUSTC is what cargo asks, PATH what the tools around it do.
printf 'export RUSTC=%q PATH=%q:$PATH\n' "$debian/rustc" "$debian"
