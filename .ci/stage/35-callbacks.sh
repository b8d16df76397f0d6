#!/usr/bin/env bash
# The C functions of notifier.Callback: libraries that are loaded at run time, without cgo and without a compiler; each build
# mode; what macOS gets, over a made-up C library, on both of its processors.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need gcc=gcc,libc6-dev '/usr/lib/*/libuv.so.1=libuv1' '/usr/lib/*/libzmq.so.5=libzmq5' '/usr/lib/*/libglib-2.0.so.0=libglib2.0-0' \
  '/usr/lib/*/libsqlite3.so.0=libsqlite3-0' qemu-aarch64-static=qemu-user-static
CGO_ENABLED=0 go vet -C examples/purego ./...
CGO_ENABLED=0 WAKECHAN_REQUIRE=libraries .ci/tally "libraries without cgo" go test -C examples/purego -v -count=1 .
WAKECHAN_REQUIRE=libraries .ci/tally "libraries with cgo, -race" go test -C examples/purego -v -count=1 -race .
fake=(-tags wakechan_fakelibc -v -count=1 -run '^TestCallback(sAreTheHeader|Addresses)$' ./notifier)
CGO_ENABLED=0 .ci/tally "macOS' C functions on Linux, amd64" go test "${fake[@]}"
GOARCH=arm64 CGO_ENABLED=0 .ci/tally "macOS' C functions on Linux, arm64" go test -short -exec qemu-aarch64-static "${fake[@]}"
export WAKECHAN_BUILDS=1 WAKECHAN_REQUIRE=oldest-go
.ci/tally "C functions in each build mode, and mutants" \
  go test -v -count=1 -timeout=30m -run '^TestCallback(BuildModes|SharedLibraries|Text|Mutants)$' ./notifier
