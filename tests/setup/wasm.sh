#!/usr/bin/env bash
# Prints what to `eval` so that cargo can build for wasm32-unknown-unknown: nothing if the Rust
# toolchain can do it by itself (or after `rustup target add`), else RUSTC, set to a compiler
# built from Debian's packages into the cache; see wasm-debian.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
target=wasm32-unknown-unknown
# Raise the number whenever wasm-debian.sh makes something else.
debian=$cache/wasm-debian-1

has_target() {
  compgen -G "$(rustc --print sysroot)/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null
}

if [[ ${WAYPOST_WASM:-} != debian ]]; then
  if has_target; then
    exit
  fi
  # Without the time limit a firewall that answers nothing would hold the build for minutes.
  if [[ ! -d $debian ]] && command -v rustup >/dev/null; then
    say "installing the target $target with rustup, to build the redirect core as WASM"
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
  say "installing a Rust compiler with $target from Debian's packages (about a minute, 137 MB)"
  rm -rf "$debian.part"
  oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  quietly wasm-debian tests/setup/wasm-debian.sh "$debian.part" "$target" "$oldest"
  mv "$debian.part" "$debian"
fi
printf 'export RUSTC=%q\n' "$debian/rustc"
