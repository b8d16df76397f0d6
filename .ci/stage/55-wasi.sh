#!/usr/bin/env bash
# The suite on WASI, under wazero and under Node; and a wazero host that wakes goroutines of its guest.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v node >/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends nodejs >/dev/null
}
export WAKECHAN_PATIENCE=3
suite=(go test -short -v -count=1 -timeout=10m -exec "$PWD/scripts/wasi-exec" ./notifier)
GOOS=wasip1 GOARCH=wasm WASI_HOST=wazero .ci/tally "wasip1/wasm loop, wazero" "${suite[@]}"
GOOS=wasip1 GOARCH=wasm WASI_HOST=node .ci/tally "wasip1/wasm loop, Node" "${suite[@]}"
go vet -C examples/wasmhost ./...
.ci/tally "wasip1/wasm loop, host's export" go test -C examples/wasmhost -v -count=1 .
