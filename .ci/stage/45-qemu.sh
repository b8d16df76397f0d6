#!/usr/bin/env bash
# The suite on other processors, under user-mode emulation; on two of them with C threads. 386 is compiled only: Go's
# runtime crashes in qemu-i386, and not every kernel runs 32-bit code.
set -euo pipefail
cd "$(dirname "$0")/../.."
need=()
command -v qemu-s390x-static >/dev/null || need+=(qemu-user-static)
command -v aarch64-linux-gnu-gcc >/dev/null || need+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
command -v s390x-linux-gnu-gcc >/dev/null || need+=(gcc-s390x-linux-gnu libc6-dev-s390x-cross)
((${#need[@]} == 0)) || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
}
export GOOS=linux WAKECHAN_PATIENCE=5
# What compiles C for the host says nothing about this system: it is left to the host's own run.
host=$(sed -nE 's/^func (Test[A-Za-z0-9]+)\(.*/\1/p' notifier/{cbarrier,cmemory,cprogram,header,header_layout}_test.go | paste -sd'|')
suite=(go test -short -v -count=1 -timeout=10m -skip="^($host)$" ./notifier)
for pair in arm:arm riscv64:riscv64; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CGO_ENABLED=0 .ci/tally "linux/${pair%:*} eventfd, pipe" "${suite[@]}" -exec "$WAKECHAN_EMULATOR"
done
for pair in arm64:aarch64 s390x:s390x; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CGO_ENABLED=1 CC=${pair#*:}-linux-gnu-gcc WAKECHAN_REQUIRE=cgo .ci/tally "linux/${pair%:*} eventfd, pipe, C threads" \
    "${suite[@]}" -exec "$WAKECHAN_EMULATOR" -ldflags='-linkmode external -extldflags -static' -tags=netgo,osusergo
done
GOARCH=386 CGO_ENABLED=0 go vet ./...
GOARCH=386 CGO_ENABLED=0 go test -c -o /dev/null ./notifier
