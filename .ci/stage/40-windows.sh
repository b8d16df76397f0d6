#!/usr/bin/env bash
# The suite on Windows, under Wine: without cgo; with cgo, where threads of CreateThread notify; and with the race detector.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need wine=wine x86_64-w64-mingw32-gcc=gcc-mingw-w64-x86-64 x86_64-w64-mingw32-g++=g++-mingw-w64-x86-64
export GOOS=windows CC=x86_64-w64-mingw32-gcc WAKECHAN_PATIENCE=5
exec="$PWD/scripts/wine-exec"
"$exec" # make the prefix
go vet ./...
suite=(go test -short -v -count=1 -timeout=10m -exec "$exec" ./notifier)
CGO_ENABLED=0 .ci/tally "windows/amd64 iocp" "${suite[@]}"
CGO_ENABLED=1 WAKECHAN_REQUIRE=cgo .ci/tally "windows/amd64 iocp, C threads" "${suite[@]}"
CGO_ENABLED=1 WAKECHAN_REQUIRE=cgo .ci/tally "windows/amd64 iocp, C threads, -race" "${suite[@]}" -race
for arch in 386 arm64; do # compiled only
  GOARCH=$arch CGO_ENABLED=0 go test -c -o /dev/null ./notifier
done
