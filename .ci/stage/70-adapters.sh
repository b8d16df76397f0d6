#!/usr/bin/env bash
# chanadapter against the real things: libzmq, librdkafka, libuv, io_uring, pidfds. Prints what became of every message.
set -euo pipefail
cd "$(dirname "$0")/../.."
need=()
for p in libzmq:libzmq3-dev rdkafka:librdkafka-dev libuv:libuv1-dev; do
  pkg-config --exists "${p%:*}" 2>/dev/null || need+=("${p#*:}")
done
command -v gcc >/dev/null || need+=(gcc libc6-dev)
command -v pkg-config >/dev/null || need+=(pkg-config)
if ((${#need[@]})); then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi
# One package at a time: they measure.
E2E_TABLE=$(mktemp)
trap 'rm -f "$E2E_TABLE"' EXIT
export E2E_TABLE WAKECHAN_REQUIRE="${WAKECHAN_REQUIRE:+$WAKECHAN_REQUIRE,}c,true,zmq"
go vet -tags e2e ./chanadapter/e2e/...
.ci/tally "adapters: libzmq, librdkafka, libuv, io_uring" go test -v -p 1 -count=1 -tags e2e ./chanadapter/e2e/...
cat "$E2E_TABLE"
.ci/tally "examples of adapters" go test -v -count=1 ./examples/pidfd ./examples/iouring ./examples/zmq
# With the race detector, shorter.
E2E_TABLE='' .ci/tally "adapters, -race" go test -v -p 1 -count=1 -short -race -tags e2e ./chanadapter/e2e/...
# This machine is ours: its clock may be set, if it lets us.
WAKECHAN_SET_CLOCK=1 .ci/tally "a set clock" go test -v -count=1 -run TestTimerTellsOfASetClock ./chanadapter

# kqueue, on darwin under the loader (not on a Mac); what cannot be run is compiled and linked.
loader=${MACHRUN:-../shared/tools/machrun}
if [[ -d $loader ]]; then
  command -v make >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends make >/dev/null; }
  built=$(mktemp -d)
  trap 'rm -rf "$E2E_TABLE" "$built"' EXIT
  cp "$loader"/*.[ch] "$loader"/Makefile "$built"
  make -s -C "$built" machrun
  GOOS=darwin GOARCH=amd64 CGO_ENABLED=0 .ci/tally "chanadapter on darwin/amd64" \
    go test -v -count=1 -timeout=10m -exec "$built/machrun" ./chanadapter
else
  echo "platform chanadapter on darwin/amd64: not run, there is no loader here"
fi
for target in darwin/arm64 freebsd/amd64 dragonfly/amd64 netbsd/amd64 openbsd/amd64; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go test -c -o /dev/null ./chanadapter
  echo "$target: compiled and linked"
done
# Windows, under Wine.
command -v wine >/dev/null && command -v x86_64-w64-mingw32-gcc >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wine gcc-mingw-w64-x86-64 >/dev/null
}
GOOS=windows CGO_ENABLED=0 WAKECHAN_REQUIRE='' .ci/tally "chanadapter on windows/amd64" \
  go test -short -v -count=1 -timeout=5m -exec "$PWD/scripts/wine-exec" ./chanadapter
# Big-endian, 32 bits, and riscv64, under emulation.
command -v qemu-s390x-static >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null; }
for arch in s390x arm riscv64; do
  GOARCH=$arch CGO_ENABLED=0 WAKECHAN_PATIENCE=5 WAKECHAN_REQUIRE='' .ci/tally "chanadapter on linux/$arch" \
    go test -short -v -count=1 -timeout=10m -exec "qemu-$arch-static" ./chanadapter
done
# The ring's C threads: of Windows, and on other processors.
need=()
command -v aarch64-linux-gnu-gcc >/dev/null || need+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
command -v s390x-linux-gnu-gcc >/dev/null || need+=(gcc-s390x-linux-gnu libc6-dev-s390x-cross)
((${#need[@]} == 0)) || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null; }
ring=(go test -short -v -count=1 -timeout=5m -run '^Test(Ring|Single)' -skip '^TestRing(Header|Layout|InC)' ./chanadapter)
export CGO_ENABLED=1 WAKECHAN_PATIENCE=5 WAKECHAN_REQUIRE=cgo
GOOS=windows CC=x86_64-w64-mingw32-gcc .ci/tally "ring on windows/amd64, C threads" "${ring[@]}" -exec "$PWD/scripts/wine-exec"
for pair in arm64:aarch64 s390x:s390x; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CC=${pair#*:}-linux-gnu-gcc .ci/tally "ring on linux/${pair%:*}, C threads" \
    "${ring[@]}" -exec "$WAKECHAN_EMULATOR" -ldflags='-linkmode external -extldflags -static' -tags=netgo,osusergo
done
