#!/usr/bin/env bash
# Builds web/dist where the sources have changed since the last time. `--packages` only installs, for checks and tests too.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p ../.local
# Two set-ups at once would build into the same folder.
if command -v flock >/dev/null; then
    exec 9>../.local/web-build.lock
    flock 9
fi

digest() { find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | cksum; }

install() { # install FOLDER: npm's packages of it, where the lock file has changed
    local stamp=$1/node_modules/.installed
    if [ ! -f "$stamp" ] || ! cmp -s "$1/package-lock.json" "$stamp"; then
        echo "Installing the packages of $1 ..." >&2
        (cd "$1" && npm ci --silent --no-audit --no-fund)
        cp "$1/package-lock.json" "$stamp"
    fi
}

sources=$(digest src public tools/precompress.ts index.html package-lock.json vite.config.ts tsconfig.json)
if [ "${1:-}" != --packages ] && [ -f dist/index.html ] && [ "$sources" = "$(cat ../.local/web-build 2>/dev/null || true)" ]; then exit 0; fi

PATH=$(tools/node-bin.sh):$PATH
export PATH
install .
if [ "${1:-}" = --packages ]; then
    install tools/api-types
    exit 0
fi
echo "Building the web app ..." >&2
rm -rf ../.local/web-dist
npx --no-install vite build --logLevel warn --outDir "$(cd .. && pwd)/.local/web-dist" --emptyOutDir >&2
# The old one serves until the new one is whole.
rm -rf dist
mv ../.local/web-dist dist
echo "$sources" >../.local/web-build
