#!/usr/bin/env bash
# chanadapter against the real things: libzmq, librdkafka, libuv, io_uring, pidfds. Prints what became of every message.
set -euo pipefail
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
go test -p 1 -count=1 -tags e2e ./chanadapter/e2e/...
cat "$E2E_TABLE"
go test -count=1 ./examples/pidfd ./examples/iouring ./examples/zmq
# With the race detector, shorter.
E2E_TABLE='' go test -p 1 -count=1 -short -race -tags e2e ./chanadapter/e2e/...
# This machine is ours: its clock may be set, if it lets us.
WAKECHAN_SET_CLOCK=1 go test -count=1 -run TestTimerTellsOfASetClock ./chanadapter
