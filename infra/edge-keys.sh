#!/usr/bin/env bash
# Reads the secret with the keys of an installation (output EdgeKeysSecretArn) and prints the line
# that its edges are given as WAYPOST_EDGE_KEYS. lambdas/host/src/keys.rs derives the same.
#
#   aws secretsmanager get-secret-value --secret-id ARN --query SecretString --output text |
#     infra/edge-keys.sh | wrangler secret put WAYPOST_EDGE_KEYS --env production
set -euo pipefail

read -r secret || [[ -n $secret ]]

if [[ $secret == *:* ]]; then
  # The keys themselves; the one for codes in a row is none of an edge's.
  printf '%s\n' "$secret" | sed -E 's/ ?sequence:[0-9a-f]+//; s/^ //'
  exit
fi

# derive NAME DIGITS
derive() {
  printf 'waypost key %s' "$1" | openssl dgst -sha256 -hmac "$secret" -r | cut -c "1-$2"
}

printf 'check:%s cookie:%s origin:%s sticky:%s\n' \
  "$(derive check 32)" "$(derive cookie 64)" "$(derive origin 64)" "$(derive sticky 32)"
