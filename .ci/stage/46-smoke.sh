#!/usr/bin/env bash
# The conformance suite, what the ready set promises, and the ring's records, on processors that nothing else here tries: ppc64le, loong64,
# little-endian MIPS of 64 bits, and ARMv5, whose atomic operations are calls of the kernel. Under emulation, without C.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need qemu-loongarch64-static=qemu-user-static
export GOOS=linux CGO_ENABLED=0 WAKECHAN_PATIENCE=5
smoke() { # GOARCH EMULATOR...
  .ci/tally "linux/$1${GOARM:+, GOARM=$GOARM}, a few tests" env GOARCH="$1" WAKECHAN_EMULATOR="$2" \
    go test -short -v -count=1 -timeout=5m -run '^Test(Suite|Generations|DeadCallers|Totals|OrphanBits|Ring[A-Z].*)$' -skip '^TestRing(HeaderC|InC)' \
    -exec "${*:2}" ./notifier ./ring
}
smoke ppc64le qemu-ppc64le-static
smoke loong64 qemu-loongarch64-static
smoke mips64le qemu-mips64el-static
GOARM=5 smoke arm qemu-arm-static -cpu arm926
