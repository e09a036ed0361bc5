#!/usr/bin/env bash
# wasm-debian.sh FOLDER TARGET OLDEST: puts a Rust compiler that can build for TARGET into
# FOLDER, as FOLDER/rustc, from Debian's packages alone; it must be of version OLDEST or newer.
# For machines on which rustup cannot download.
#
# Debian packages the compiler and the standard library's source, but no WASM build of the
# standard library, so it is built here, once. The packages are unpacked, not installed: no
# root, and the machine's own compilers stay as they are. cargo is the machine's.
set -euo pipefail

folder=$1
target=$2
oldest=$3
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
packages=$folder/packages
state=$folder/apt
mkdir -p "$packages/partial" "$state/lists/partial"

# apt-get with lists and downloads of its own, so that it needs neither root nor an earlier
# `apt-get update`. A rustc-web that is installed counts as absent, or it would not be fetched.
awk -v RS= -v ORS='\n\n' '!/^Package: (rustc-web|cargo-web|rust-web|libstd-rust-web)/' \
  /var/lib/dpkg/status >"$state/status"
apt() {
  apt-get --quiet \
    -o Dir::State="$state" -o Dir::State::lists="$state/lists" \
    -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o Dir::Cache::archives="$packages" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User="$(id -un)" -o APT::Update::Post-Invoke::= "$@"
}
fetch() {
  rm -f "$packages"/*.deb
  apt install --yes --no-install-recommends --download-only "$@"
  local package
  for package in "$packages"/*.deb; do
    dpkg --extract "$package" "$folder"
  done
}
apt update
fetch rustc-web rust-web-src

host=$(rustc -vV | sed -n 's/^host: //p')
library_path=$(dirname "$(find "$folder/usr/lib" -name 'librustc_driver-*.so' -print -quit)")
cat >"$folder/rustc" <<WRAPPER
#!/bin/sh
# Debian's compiler with the sysroot beside this file.
here=\$(dirname "\$(readlink -f "\$0")")
export LD_LIBRARY_PATH="\$here${library_path#"$folder"}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$here/usr/bin/rustc" --sysroot "\$here/usr" "\$@"
WRAPPER
chmod +x "$folder/rustc"

version=$("$folder/rustc" -vV | sed -n 's/^release: //p')
if ! printf '%s\n' "$oldest" "$version" | sort --version-sort --check=quiet; then
  echo "Debian's rustc-web here is $version, Waypost needs $oldest; the newest is in the security suite" >&2
  exit 1
fi

# The linker, of the compiler's LLVM version, where rustc looks for its own.
llvm=$("$folder/rustc" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
fetch "lld-$llvm"
linker=usr/lib/llvm-$llvm/bin/lld
rustlib=$folder/usr/lib/rustlib
mkdir -p "$rustlib/$host/bin"
if [[ -x $folder/$linker ]]; then
  ln -s "../../../../../$linker" "$rustlib/$host/bin/rust-lld"
else
  ln -s "/$linker" "$rustlib/$host/bin/rust-lld"
fi

# The standard library, from an empty crate. The flags that build it are unstable; what it
# leaves behind serves any stable build. The bitcode is what `lto` needs.
empty=$folder/empty
mkdir -p "$empty/src" "$rustlib/$target/lib"
touch "$empty/src/lib.rs"
cat >"$empty/Cargo.toml" <<'MANIFEST'
[workspace]

[package]
name = "empty"
edition = "2024"
MANIFEST
cd "$empty"
RUSTC=$folder/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes cargo build \
  -Zbuild-std=std,panic_abort --release --target "$target" --target-dir "$empty/target"
rm "$empty/target/$target/release/deps"/libempty-*
cp "$empty/target/$target/release/deps"/*.rlib "$rustlib/$target/lib/"

# Only the compiler stays: the source alone is 430 MB.
cd "$folder"
rm -rf "$empty" "$packages" "$state" usr/src usr/share
