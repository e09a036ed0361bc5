#!/usr/bin/env bash
# wasm-debian.sh FOLDER OLDEST COMPONENT_LD: puts a Rust compiler that can build for
# wasm32-unknown-unknown and wasm32-wasip2 into FOLDER, as FOLDER/rustc, from Debian's packages; it
# must be of version OLDEST or newer. FOLDER/cargo-clippy is Clippy of the same version. COMPONENT_LD is the program wasm-component-ld, which links
# components and which Debian does not have. For machines on which rustup cannot download.
#
# Debian packages the compiler and the standard library's source, but no WASM build of the
# standard library, so it is built here, once. The packages are unpacked, not installed: no
# root, and the machine's own compilers stay as they are. cargo is the machine's.
set -euo pipefail

folder=$1
oldest=$2
component_ld=$3
targets=(wasm32-unknown-unknown wasm32-wasip2)
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
fetch rustc-web rust-web-src rust-web-clippy

host=$(rustc -vV | sed -n 's/^host: //p')
library_path=$(dirname "$(find "$folder/usr/lib" -name 'librustc_driver-*.so' -print -quit)")
# wrapper PROGRAM ARGUMENT...: FOLDER/PROGRAM, Debian's with the libraries and the sysroot beside it.
wrapper() {
  local program=$1
  shift
  cat >"$folder/$program" <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
export SYSROOT="\$here/usr"
export LD_LIBRARY_PATH="\$here${library_path#"$folder"}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$here/usr/bin/$program" $* "\$@"
WRAPPER
  chmod +x "$folder/$program"
}
wrapper rustc --sysroot '"$SYSROOT"'
wrapper cargo-clippy

version=$("$folder/rustc" -vV | sed -n 's/^release: //p')
if ! printf '%s\n' "$oldest" "$version" | sort --version-sort --check=quiet; then
  echo "Debian's rustc-web here is $version, Waypost needs $oldest; the newest is in the security suite" >&2
  exit 1
fi

# The linkers, where rustc looks for its own: LLVM's, of the compiler's LLVM version, and the one
# that makes a component of what LLVM's has linked.
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
cp "$component_ld" "$rustlib/$host/bin/wasm-component-ld"

# The C library below Rust's on WASI. Debian has it for this target since version 13; the package
# is the same for every machine and needs nothing, so it is taken from there on any version, from
# the mirror that this machine uses.
mirror=$(apt indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)
thirteen=$folder/thirteen
mkdir -p "$thirteen/lists/partial"
printf 'deb [signed-by=%s] %s trixie main\n' /usr/share/keyrings/debian-archive-keyring.gpg \
  "${mirror:-http://deb.debian.org/debian}" >"$thirteen/sources.list"
apt_thirteen() {
  apt -o Dir::Etc::sourcelist="$thirteen/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$thirteen/lists" -o pkgCacheFile="$thirteen/cache" "$@"
}
apt_thirteen update
(
  cd "$thirteen"
  apt_thirteen download wasi-libc
)
dpkg --extract "$thirteen"/wasi-libc_*.deb "$thirteen"
wasi=$rustlib/wasm32-wasip2/lib
mkdir -p "$wasi/self-contained"
(
  cd "$thirteen/usr/lib/wasm32-wasip2"
  cp crt1-command.o crt1-reactor.o libc.a libm.a libdl.a libpthread.a libwasi-emulated-*.a \
    "$wasi/self-contained/"
  cp libc.a "$wasi/"
)

# The standard library, from an empty crate. The flags that build it are unstable; what it
# leaves behind serves any stable build. The bitcode is what `lto` needs.
empty=$folder/empty
mkdir -p "$empty/src"
touch "$empty/src/lib.rs"
cat >"$empty/Cargo.toml" <<'MANIFEST'
[workspace]

[package]
name = "empty"
edition = "2024"
MANIFEST
cd "$empty"
for target in "${targets[@]}"; do
  RUSTC=$folder/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes cargo build \
    -Zbuild-std=std,panic_abort --release --target "$target" --target-dir "$empty/target"
  rm "$empty/target/$target/release/deps"/libempty-*
  mkdir -p "$rustlib/$target/lib"
  cp "$empty/target/$target/release/deps"/*.rlib "$rustlib/$target/lib/"
done

# Only the compiler stays: the source alone is 430 MB.
cd "$folder"
rm -rf "$empty" "$packages" "$state" "$thirteen" usr/src usr/share
