#!/usr/bin/env bash
# Builds the functions by the book, `sam build` with cargo-lambda, for this machine's processor, and
# with them what `sam deploy` takes: .aws-sam/build.
#
# Usage: tests/setup/functions.sh     with the environment of tests/setup/aws-tools.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
case $(uname -m) in
  aarch64) architecture=arm64 ;;
  *) architecture=x86_64 ;;
esac
sam build --no-cached --parameter-overrides "Architecture=$architecture"
