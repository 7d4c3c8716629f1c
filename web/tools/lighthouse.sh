#!/usr/bin/env bash
# lighthouse.sh [URL]: measures the pages of a running platform. Its packages are installed when it is first asked for.
set -euo pipefail
cd "$(dirname "$0")/lighthouse"
PATH=$(../node-bin.sh):$PATH
export PATH
if ! cmp -s package-lock.json node_modules/.installed; then
    echo "Installing Lighthouse ..." >&2
    npm ci --silent --no-audit --no-fund
    cp package-lock.json node_modules/.installed
fi
exec node measure.mjs "${1:-http://127.0.0.1:18000}" "$(command -v chromium || command -v chromium-browser || command -v google-chrome)"
