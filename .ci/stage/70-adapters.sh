#!/usr/bin/env bash
# chanadapter and ring against the real things: libcurl, libpq, GLib, libmosquitto, libdbus, libzmq, librdkafka, libuv,
# libpcap, GStreamer, io_uring, pidfds. Prints what became of every message.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need gcc=gcc,libc6-dev pkg-config=pkg-config /usr/include/zmq.h=libzmq3-dev /usr/include/librdkafka/rdkafka.h=librdkafka-dev \
  '/usr/include/*/curl/curl.h=libcurl4-openssl-dev' /usr/include/postgresql/libpq-fe.h=libpq-dev '/usr/lib/postgresql/*/bin/initdb=postgresql' \
  /usr/include/glib-2.0/glib.h=libglib2.0-dev /usr/include/mosquitto.h=libmosquitto-dev /usr/sbin/mosquitto=mosquitto \
  /usr/include/dbus-1.0/dbus/dbus.h=libdbus-1-dev dbus-daemon=dbus-daemon \
  /usr/include/gstreamer-1.0/gst/gst.h=libgstreamer1.0-dev \
  /usr/include/gstreamer-1.0/gst/app/gstappsink.h=libgstreamer-plugins-base1.0-dev \
  '/usr/lib/*/gstreamer-1.0/libgstvideotestsrc.so=gstreamer1.0-plugins-base' \
  /usr/include/uv.h=libuv1-dev /usr/include/pcap/pcap.h=libpcap-dev jackd=jackd2 /usr/include/jack/jack.h=libjack-jackd2-dev make=make \
  wine=wine x86_64-w64-mingw32-gcc=gcc-mingw-w64-x86-64 qemu-s390x-static=qemu-user-static \
  aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h=libc6-dev-arm64-cross \
  s390x-linux-gnu-gcc=gcc-s390x-linux-gnu /usr/s390x-linux-gnu/include/stdio.h=libc6-dev-s390x-cross
# One package at a time: they measure.
E2E_TABLE=$(mktemp)
trap 'rm -f "$E2E_TABLE"' EXIT
export E2E_TABLE WAKECHAN_REQUIRE="${WAKECHAN_REQUIRE:+$WAKECHAN_REQUIRE,}c,true,curl,dbus,gstreamer,jack,mosquitto,postgres,zmq"
(($(awk '/^CapEff:/ { print "16#" $2 }' /proc/self/status) >> 13 & 1)) && WAKECHAN_REQUIRE+=,pcap # CAP_NET_RAW: root in a container may not have it
go vet -tags e2e ./chanadapter/e2e/...
.ci/tally "adapters: C libraries, io_uring" go test -v -p 1 -count=1 -tags e2e ./chanadapter/e2e/...
cat "$E2E_TABLE"
.ci/tally "examples of adapters" go test -v -count=1 ./examples/pidfd ./examples/iouring ./examples/curl ./examples/postgres ./examples/zmq
.ci/tally "examples/zmq, interrupted" go test -v -count=1 -tags zmq -run '^TestInterrupted$' ./examples/zmq
.ci/tally "examples/audio: jackd" go test -v -count=1 ./examples/audio
# Not SDL's, which takes minutes to compile.
WAKECHAN_REQUIRE=libraries .ci/tally "examples/bindings: zmq4" go test -C examples/bindings -v -count=1 -run TestBindings/./zmq4 .
# With the race detector, shorter.
E2E_TABLE='' .ci/tally "adapters, -race" go test -v -p 1 -count=1 -short -race -tags e2e ./chanadapter/e2e/...
# This machine is ours: its clock may be set, if it lets us.
WAKECHAN_SET_CLOCK=1 .ci/tally "a set clock" go test -v -count=1 -run TestTimerTellsOfASetClock ./chanadapter

export WAKECHAN_PATIENCE=5
# kqueue, on darwin under the loader (not on a Mac); what cannot be run is compiled and linked.
GOOS=darwin GOARCH=amd64 CGO_ENABLED=0 .ci/tally "chanadapter and ring on darwin/amd64" \
  go test -v -count=1 -timeout=10m -exec "$PWD/scripts/darwin-exec" ./chanadapter ./ring
for target in darwin/arm64 freebsd/amd64 dragonfly/amd64 netbsd/amd64 openbsd/amd64; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go test -c -o /dev/null ./chanadapter
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go test -c -o /dev/null ./ring
  echo "$target: compiled and linked"
done
# Windows, under Wine.
GOOS=windows CGO_ENABLED=0 WAKECHAN_REQUIRE='' .ci/tally "chanadapter and ring on windows/amd64" \
  go test -short -v -count=1 -timeout=5m -exec "$PWD/scripts/wine-exec" ./chanadapter ./ring
# Big-endian, 32 bits, and riscv64, under emulation.
for arch in s390x arm riscv64; do
  # What runs C on the host says nothing about these. An example cannot skip itself: see misreadDuplicates in chanadapter.
  GOARCH=$arch CGO_ENABLED=0 WAKECHAN_EMULATOR=qemu-$arch-static WAKECHAN_REQUIRE='' .ci/tally "chanadapter and ring on linux/$arch" \
    go test -short -v -count=1 -timeout=10m -skip="^Test(Ring|Out)InC$([[ $arch != s390x ]] || echo '|^ExampleOpenEventFD$')" -exec "qemu-$arch-static" ./chanadapter ./ring
done
# The ring's C threads: of Windows, and on other processors.
ring=(go test -short -v -count=1 -timeout=5m -run '^Test(Ring|Single|Out)' -skip '^Test(Ring|Out)(Header|Layout|InC)' ./ring)
export CGO_ENABLED=1 WAKECHAN_REQUIRE=cgo
GOOS=windows CC=x86_64-w64-mingw32-gcc .ci/tally "ring on windows/amd64, C threads" "${ring[@]}" -exec "$PWD/scripts/wine-exec"
for pair in arm64:aarch64 s390x:s390x; do
  export WAKECHAN_EMULATOR=qemu-${pair#*:}-static
  GOARCH=${pair%:*} CC=${pair#*:}-linux-gnu-gcc .ci/tally "ring on linux/${pair%:*}, C threads" \
    "${ring[@]}" -exec "$WAKECHAN_EMULATOR" -ldflags='-linkmode external -extldflags -static' -tags=netgo,osusergo
done
