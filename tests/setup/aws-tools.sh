#!/usr/bin/env bash
# Prints what to `eval` so that the AWS side can be built, deployed and driven on this machine: the SAM
# CLI, cfn-lint and cargo-lambda on the PATH, the emulator's program by name, and settings that keep
# them to themselves. Installs them from PyPI into the cache first if they are not there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The oldest Python that the SAM CLI runs on.
python_oldest=3.10

has_python() {
  command -v python3 >/dev/null &&
    python3 -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (${python_oldest/./, }))" \
      2>/dev/null
}

# environment NAME WHAT: a virtual environment with the packages of pypi/NAME.txt, unless it is
# there; sets `folder` to it.
environment() {
  local name=$1 what=$2 list=$repo/tests/setup/pypi/$1.txt
  # Whatever changes its content changes its name.
  folder=$cache/pypi-$name-$(cat "$list" <(python3 --version) | cksum | cut -d ' ' -f 1)
  if [[ -x $folder/done ]]; then
    return
  fi
  say "installing $what from PyPI"
  rm -rf "$folder"
  python3 -m venv "$folder"
  quietly "pip-$name" "$folder/bin/pip" install --no-deps --no-input --no-color --retries 3 \
    --disable-pip-version-check --requirement "$list"
  # Programs of an environment name its folder, so it is not moved here when it is whole.
  install -m 755 /dev/null "$folder/done"
}

if ! has_python; then
  debian_packages "Python $python_oldest or newer with venv" "to run the SAM CLI" \
    python3 python3-venv
  if ! has_python; then
    fail "needs Python $python_oldest or newer, to run the SAM CLI"
  fi
fi

environment emulator "an emulator of AWS (130 MB)"
printf 'export WAYPOST_AWS_EMULATOR=%q\n' "$folder/bin/ministack"
printf 'export WAYPOST_AWS_PYTHON=%q\n' "$folder/bin/python3"
environment sam "the SAM CLI and cfn-lint (340 MB)"
printf 'export PATH=%q:$PATH\n' "$folder/bin"
printf 'export WAYPOST_SAM_PYTHON=%q\n' "$folder/bin/python3"
environment build "cargo-lambda and its linker (115 MB)"
printf 'export PATH=%q:$PATH\n' "$folder/bin"
# No reports of usage, no look for machine roles.
printf 'export SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true\n'
