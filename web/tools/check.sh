#!/usr/bin/env bash
# What a change of the web app must pass: form, lint, types, generated types, unit tests.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh --packages
PATH=$(tools/node-bin.sh):$PATH
export PATH
npx --no-install prettier --check --log-level warn .
npx --no-install oxlint --deny-warnings
npx --no-install tsc --noEmit
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
(cd tools/api-types && npx --no-install openapi-typescript ../../../gateway/openapi.json --default-non-nullable false --output "$fresh/schema.d.ts" >/dev/null 2>&1)
if ! cmp -s "$fresh/schema.d.ts" src/api/schema.d.ts; then
    echo "web/src/api/schema.d.ts is not what gateway/openapi.json says: run \`make web-types\` and commit the result." >&2
    exit 1
fi
npx --no-install vitest run
