#!/usr/bin/env bash
# Holds the stack to what it must be, deploys it with the SAM CLI onto an emulator of AWS with the
# functions as they would be shipped, and drives it from outside.
#
# Usage: tests/setup/aws.sh [--account STACK]
#
#   --account STACK   only drives a stack that is deployed in the account and region of the
#                     environment's credentials, as far as that disturbs nobody: not production
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$repo"
# Most bytes of a function with gzip, 7 MiB: what is downloaded adds to each cold start.
function_bytes=7340032

environment=$(tests/setup/aws-tools.sh)
eval "$environment"

locked=()
if [[ ${CI:-} == true ]]; then
  locked=(--locked)
fi

# Of the emulator's environment, which has the translator of SAM and clients of AWS too. No compiled
# files among ours.
python() {
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$repo/tests/aws "$WAYPOST_AWS_PYTHON" "$@"
}

# weigh NAME PROGRAM: prints a function's size, and fails if it is beyond what it may have.
weigh() {
  local bytes
  bytes=$(gzip --stdout -- "$2" | wc -c)
  printf '  %-18s %9d bytes %9d with gzip\n' "$1" "$(wc -c <"$2")" "$bytes"
  if ((bytes > function_bytes)); then
    fail "$1 has $bytes bytes with gzip, $((bytes - function_bytes)) more than it may have"
  fi
}

# The Worker as it is deployed, for visitors of the stack; sets WAYPOST_WORKERD to its engine.
build_edge() {
  local environment
  environment=$(tests/setup/edge-tools.sh)
  eval "$environment"
  (
    environment=$(tests/setup/wasm.sh wasm32-unknown-unknown)
    eval "$environment"
    # A folder of its own, because the compiler may be another one than the rest is built with.
    export CARGO_TARGET_DIR=$repo/target/wasm
    quietly worker edge/worker/build.sh "${locked[@]}"
  )
}

drive() {
  say "driving the stack"
  python -m unittest discover --start-directory tests/aws/e2e
}

if [[ ${1:-} == --account ]]; then
  export WAYPOST_AWS_STACK=${2:?--account needs the name of a stack}
  drive
  exit
fi

# Linting asks nobody, but wants to know where it would.
export AWS_DEFAULT_REGION=us-east-1

say "linting the templates"
cfn-lint template.yaml infra/*.yaml
for template in template.yaml infra/*.yaml; do
  if ! said=$(sam validate --lint --template-file "$template" 2>&1); then
    printf '%s\n' "$said" >&2
    fail "sam validate --lint refuses $template"
  fi
done

# Always together: alone, each would have its dependencies built with other features.
packages=(--package waypost-aws --package waypost-publish --package waypost-functions
  --package waypost-tests-aws)

say "building the binary with DynamoDB"
cargo build "${locked[@]}" "${packages[@]}" --package waypost-native \
  --bin waypost --example schema
# A copy: other steps build the same program without AWS.
mkdir -p target/aws
cp "${CARGO_TARGET_DIR:-target}/debug/waypost" target/aws/waypost
export WAYPOST_AWS_BINARY=$repo/target/aws/waypost WAYPOST_PROGRAM=$repo/target/aws/waypost
export WAYPOST_AWS_SCHEMA=${CARGO_TARGET_DIR:-$repo/target}/debug/examples/schema

say "reading the translated templates"
python -m unittest discover --start-directory tests/aws/stack

say "functions, clients of stores, contracts, crashes and many nodes over the emulator"
cargo test "${locked[@]}" "${packages[@]}"

say "building the functions"
quietly sam-build tests/setup/functions.sh
for program in .aws-sam/build/*/*Function/bootstrap; do
  weigh "$(basename "$(dirname "$program")")" "$program"
done

say "building the Worker"
build_edge

drive

say "driving a stack as one in an account is driven"
python tests/aws/account.py
