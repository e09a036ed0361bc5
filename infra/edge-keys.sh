#!/usr/bin/env bash
# Reads the secret with the keys of an installation (output EdgeKeysSecretArn) and prints the line
# that its edges are given as WAYPOST_EDGE_KEYS: `waypost edge keys --secret-stdin`, built from here.
#
#   aws secretsmanager get-secret-value --secret-id ARN --query SecretString --output text |
#     infra/edge-keys.sh | wrangler secret put WAYPOST_EDGE_KEYS --env production
#
# Environment:
#   WAYPOST_PROGRAM   the program waypost; nothing is built
set -euo pipefail

if [[ -n ${WAYPOST_PROGRAM:-} ]]; then
  exec "$WAYPOST_PROGRAM" edge keys --secret-stdin
fi
exec cargo run --quiet --release --package waypost-native \
  --manifest-path "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml" -- edge keys --secret-stdin
