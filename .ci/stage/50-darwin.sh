#!/usr/bin/env bash
# The suite on darwin/amd64, under a loader on Linux (not on a Mac): with each of its backends as the default. What cannot
# be run is compiled and linked: darwin/arm64 and the BSDs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
.ci/need gcc=gcc,libc6-dev make=make
exec="$PWD/scripts/darwin-exec"
"$exec" # build the loader
export GOOS=darwin GOARCH=amd64 WAKECHAN_PATIENCE=5
.ci/tally "the loader's own tests" go test -v -count=1 -exec "$exec" ./verify/machrun/selftest
for backend in kqueue pipe; do
  NOTIFIER_BACKEND=$backend .ci/tally "darwin/amd64 $backend" go test -v -count=1 -timeout=10m -exec "$exec" ./notifier
done
for target in darwin/arm64 freebsd/amd64 dragonfly/amd64 netbsd/amd64 openbsd/amd64; do
  GOOS=${target%/*} GOARCH=${target#*/} go test -c -o /dev/null ./notifier
  echo "$target: compiled and linked"
done
