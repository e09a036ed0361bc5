#!/usr/bin/env bash
# Builds the functions for this machine's processor with plain cargo, and with them what
# `sam deploy` takes: .aws-sam/build. Where cargo-lambda is installed, `sam build` alone does the
# same for any processor.
#
# Usage: infra/build.sh [OPTION...]     OPTIONS are for `sam build`
#
# Environment:
#   WAYPOST_FUNCTIONS_DIR   a folder with the programs, named like the functions; nothing is built
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
case $(uname -m) in
  aarch64) architecture=arm64 ;;
  *) architecture=x86_64 ;;
esac

if [[ -z ${WAYPOST_FUNCTIONS_DIR:-} ]]; then
  locked=()
  if [[ ${CI:-} == true ]]; then
    locked=(--locked)
  fi
  cargo build "${locked[@]}" --profile function --package waypost-functions --bins
  export WAYPOST_FUNCTIONS_DIR=${CARGO_TARGET_DIR:-$repo/target}/function
fi
# A folder of its own: cargo-lambda's results are named like the folder of the profile.
export CARGO_TARGET_DIR=$repo/target/sam
PATH=$repo/infra/plain:$PATH
export PATH
sam build --no-cached --template-file template.yaml \
  --parameter-overrides "Architecture=$architecture" "$@"
