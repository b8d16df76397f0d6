#!/usr/bin/env bash
# The tests of the root module: with the race detector, where nothing may be skipped for want of a compiler; without cgo;
# and on one processor, where a lost wake-up has nobody to hide behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v gcc >/dev/null && command -v g++ >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev >/dev/null
}
export WAKECHAN_REQUIRE=go,pty,proc,processes,c,c++,single-step,seccomp
CGO_ENABLED=0 .ci/tally "linux/amd64, without cgo" go test -v -short ./...
export WAKECHAN_REQUIRE=$WAKECHAN_REQUIRE,cgo
.ci/tally "linux/amd64, C threads, -race" go test -v -race ./...
.ci/tally "linux/amd64, C threads, one processor" go test -v -short -cpu 1 ./...
