#!/usr/bin/env bash
# Measures cold starts of the Lambda functions, as they would be shipped, beside the least that a
# function can be, in one run: bytes, time from the start of the program until it asks for its first
# event, time from that event to its answer, and processor time of both. What a function asks of AWS
# it asks an emulator over TLS, as it would in an account; the way there is missing.
#
# Usage: tests/bench/functions.sh [ROUNDS]     starts of each function, 21 by default
# Needs openssl; installs the rest as tests/run does.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup/common.sh"

command -v openssl >/dev/null || { echo "openssl is needed" >&2; exit 2; }
cd "$repo"
environment=$(tests/setup/aws-tools.sh)
eval "$environment"
export AWS_DEFAULT_REGION=us-east-1
quietly sam-build tests/setup/functions.sh
(
  cd lambdas/functions
  quietly floor cargo lambda build --release --example floor
)
export WAYPOST_FLOOR=${CARGO_TARGET_DIR:-$repo/target}/lambda/floor/bootstrap
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$repo/tests/aws exec "$WAYPOST_AWS_PYTHON" \
  tests/bench/functions/cold.py "${1:-21}"
