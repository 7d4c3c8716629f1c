#!/usr/bin/env bash
# Installs Chromium for the browser tests, where it is missing and this system has it as a package.
set -euo pipefail
if command -v chromium >/dev/null || ! command -v apt-get >/dev/null; then exit 0; fi
echo "Installing chromium ..." >&2
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
as_root apt-get -qq update >&2
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium >&2
