#!/usr/bin/env bash
# Prints the distinct homepage addresses of the packages that APT knows, sorted bytewise: tens of
# thousands of URLs that people wrote by hand. Only on Debian, after `apt-get update`.
#
# Usage: tests/bench/homepages.sh [--slice]
#
#   --slice  only what tests/data/urls/homepages.txt holds: every unusual address and every 70th
set -euo pipefail

export LC_ALL=C

# Unusual: another scheme, capitals in the host, a port, no host, a query, characters beside the
# common ones, or more than 90 bytes.
# shellcheck disable=SC2016  # the dollar sign is awk's
slice='!/^https?:\/\/[a-z0-9.-]+(\/|$)/ || /[^A-Za-z0-9:\/._~#=-]/ || length > 90 || NR % 70 == 0'
case ${1:-} in
  '') wanted=1 ;;
  --slice) wanted=$slice ;;
  *)
    printf 'homepages.sh: unknown option %s; the only one is --slice\n' "$1" >&2
    exit 2
    ;;
esac

list=$(apt-cache dumpavail | sed -n 's/^Homepage: //p' | sort -u)
if [[ -z $list ]]; then
  printf 'homepages.sh: APT knows no packages; run apt-get update\n' >&2
  exit 1
fi
awk "$wanted" <<<"$list"
