#!/usr/bin/env bash
# The suite on other processors: under user-mode emulation, on two of them with C threads; and on 386, with C threads, where the
# kernel runs 32-bit programs (qemu-i386 crashes in Go's runtime).
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need qemu-s390x-static=qemu-user-static \
  aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h=libc6-dev-arm64-cross \
  s390x-linux-gnu-gcc=gcc-s390x-linux-gnu /usr/s390x-linux-gnu/include/stdio.h=libc6-dev-s390x-cross \
  i686-linux-gnu-gcc=gcc-i686-linux-gnu /usr/i686-linux-gnu/include/stdio.h=libc6-dev-i386-cross
export GOOS=linux WAKECHAN_PATIENCE=5
# What compiles C for the host says nothing about this system: it is left to the host's own run.
host=$(sed -nE 's/^func (Test[A-Za-z0-9]+)\(.*/\1/p' notifier/{cbarrier,cmemory,cprogram,header,header_layout}_test.go | paste -sd'|' -)
suite=(go test -short -v -count=1 -timeout=10m -skip="^($host)$" ./notifier)
static=(-ldflags='-linkmode external -extldflags -static' -tags=netgo,osusergo)
for pair in arm:arm riscv64:riscv64; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CGO_ENABLED=0 .ci/tally "linux/${pair%:*} eventfd, pipe" "${suite[@]}" -exec "$WAKECHAN_EMULATOR"
done
for pair in arm64:aarch64 s390x:s390x; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CGO_ENABLED=1 CC=${pair#*:}-linux-gnu-gcc WAKECHAN_REQUIRE=cgo .ci/tally "linux/${pair%:*} eventfd, pipe, C threads" \
    "${suite[@]}" -exec "$WAKECHAN_EMULATOR" "${static[@]}"
done
unset WAKECHAN_EMULATOR

export GOARCH=386
program=$(mktemp)
trap 'rm -f "$program"' EXIT
CGO_ENABLED=0 go vet ./...
CGO_ENABLED=0 go test -c -o "$program" ./internal/golden
if "$program" -test.run='^$' >/dev/null 2>&1; then
  CGO_ENABLED=0 .ci/tally "linux/386 eventfd, pipe; ring, chanadapter" "${suite[@]}" ./ring ./chanadapter
  CGO_ENABLED=1 CC=i686-linux-gnu-gcc WAKECHAN_REQUIRE=cgo .ci/tally "linux/386 eventfd, pipe, C threads" "${suite[@]}" "${static[@]}"
else
  echo "platform linux/386: compiled only, this kernel runs no 32-bit programs"
  CGO_ENABLED=0 go test -c -o /dev/null ./notifier
fi
