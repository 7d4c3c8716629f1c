#!/usr/bin/env bash
# Generates Python code and typed stubs from every .proto below this folder into gen/ (or the folder given).
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-gen}
mkdir -p "$out"
find "$out" -name '*_pb2*' -delete
# shellcheck disable=SC2046  # proto paths hold no spaces
PATH="$(cd ..; pwd)/.venv/bin:$PATH" python -m grpc_tools.protoc -I . \
    --python_out="$out" --mypy_out=quiet:"$out" --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" \
    $(find cryptovault -name '*.proto' | sort)
# The table of who may call what goes with the code: services read it at start.
cp cryptovault/calls.toml "$out/cryptovault/"
# A service-less file needs no service stub.
find "$out" -name 'failure_pb2_grpc.py*' -delete
find "$out" -name 'events_pb2_grpc.py*' -delete
