#!/usr/bin/env bash
# The tests of the root module, on whatever system this is: with the race detector, where nothing may be skipped for want of a
# compiler; without cgo; and on one processor, where a lost wake-up has nobody to hide behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
platform=$(go env GOOS)/$(go env GOARCH)
case $platform in
linux/*)
  .ci/need gcc=gcc,libc6-dev g++=g++
  require=go,pty,proc,processes,c,c++,seccomp
  [[ $platform != linux/amd64 ]] || require+=,single-step
  ;;
*) require=go,processes ;;
esac
race=(-race)
case $platform in
openbsd/* | netbsd/* | dragonfly/* | freebsd/arm64) race=() ;; # Go has no race detector there, or needs another C library
esac
export WAKECHAN_REQUIRE=$require
CGO_ENABLED=0 .ci/tally "$platform, without cgo" go test -v -short ./...
export CGO_ENABLED=1 WAKECHAN_REQUIRE=$require,cgo
.ci/tally "$platform, C threads${race[*]+, ${race[*]}}" go test -v ${race[@]+"${race[@]}"} ./...
.ci/tally "$platform, C threads, one processor" go test -v -short -cpu 1 ./...
