#!/usr/bin/env bash
# Compares following a link on Waypost with the least a server can do: nginx answering every request
# with the same 302. Three rounds of each, one after the other, on this machine; prints the medians
# and their ratio. Waypost counts every request meanwhile; the run fails if the account is off.
#
# Usage: tests/bench/redirect.sh [SECONDS]     SECONDS: length of a round, 5 by default
# Needs wrk, nginx and curl (Debian: wrk nginx-light curl).
set -euo pipefail
# shellcheck source=tests/setup/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup/common.sh"

seconds=${1:-5}
agent='Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
key=the-admin-key-of-the-benchmark
PATH=$PATH:/usr/sbin
for tool in wrk nginx curl; do
  command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done

cd "$repo"
cargo build --release
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

cat >"$scratch/nginx.conf" <<CONF
daemon off;
worker_processes 2;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $scratch;
  proxy_temp_path $scratch;
  fastcgi_temp_path $scratch;
  uwsgi_temp_path $scratch;
  scgi_temp_path $scratch;
  server { listen 127.0.0.1:18081; location / { return 302 https://example.com/; } }
}
CONF
nginx -c "$scratch/nginx.conf" -p "$scratch" 2>"$scratch/nginx.log" &
target/release/waypost serve --listen 127.0.0.1:18080 --data-dir "$scratch/data" \
  --admin-key "$key" --log-level warn 2>"$scratch/waypost.log" &
for port in 18080 18081; do
  curl -sf --retry 50 --retry-connrefused --retry-delay 0 -o "$scratch/answer" "http://127.0.0.1:$port/"
done
curl -sf http://127.0.0.1:18080/api/v1/links -o "$scratch/answer" \
  -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
  -d '{"destination": "https://example.com/", "slug": "hello"}'

# round PORT: requests a second
round() {
  wrk -t1 -c32 -d"${seconds}s" -H "User-Agent: $agent" "http://127.0.0.1:$1/hello" |
    awk '/Non-2xx/ { exit 1 } /Requests\/sec/ { print int($2) }'
}

for _ in 1 2 3; do
  round 18081 >>"$scratch/nginx.rates"
  round 18080 >>"$scratch/waypost.rates"
done
median() { sort -n "$1" | sed -n 2p; }
nginx=$(median "$scratch/nginx.rates")
waypost=$(median "$scratch/waypost.rates")
memory=$(ps -o rss= -p "$(pgrep -f "$scratch/data" | head -n 1)")

# The last batch is a second old at most.
account() { curl -sf http://127.0.0.1:18080/api/v1/stats/integrity -H "Authorization: Bearer $key"; }
for _ in $(seq 100); do
  account >"$scratch/account"
  if grep -q '"lost":0,"in_flight":0' "$scratch/account"; then
    break
  fi
  sleep 0.1
done
grep -q '"lost":0,"in_flight":0' "$scratch/account"

printf 'nginx, constant 302    %8d requests/s\n' "$nginx"
printf 'waypost, counted       %8d requests/s, %d MiB resident\n' "$waypost" $((memory / 1024))
awk -v ours="$waypost" -v floor="$nginx" 'BEGIN { printf "ratio                  %8.2f\n", ours / floor }'
cat "$scratch/account"
echo
