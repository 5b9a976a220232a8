#!/usr/bin/env bash
# Writes the generated code under shared/stripwatch/rpc from protos/. `make protos` calls it; CI fails when the result
# differs from what is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
bin=$(dirname "$python")
rm -f shared/stripwatch/rpc/{v1,oip}/*_pb2*
"$python" -m grpc_tools.protoc -Iprotos \
  --plugin=protoc-gen-mypy="$bin/protoc-gen-mypy" --plugin=protoc-gen-mypy_grpc="$bin/protoc-gen-mypy_grpc" \
  --python_out=shared --grpc_python_out=shared --mypy_out=quiet:shared --mypy_grpc_out=quiet:shared \
  protos/stripwatch/rpc/{v1,oip}/*.proto
