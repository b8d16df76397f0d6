#!/usr/bin/env bash
# The suites of notifier and of ring on WASI, under wazero and under Node; and a wazero host that wakes goroutines of
# its guest, and pushes records to one.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need node=nodejs
export WAKECHAN_PATIENCE=3
suite=(go test -short -v -count=1 -timeout=10m -exec "$PWD/scripts/wasi-exec")
for host in wazero Node; do
  export WASI_HOST=${host,,}
  GOOS=wasip1 GOARCH=wasm .ci/tally "wasip1/wasm loop, $host" "${suite[@]}" ./notifier
  GOOS=wasip1 GOARCH=wasm .ci/tally "ring on wasip1/wasm, $host" "${suite[@]}" ./ring
done
go vet -C examples/wasmhost ./...
.ci/tally "wasip1/wasm loop, host's export" go test -C examples/wasmhost -v -count=1 .
