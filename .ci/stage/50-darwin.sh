#!/usr/bin/env bash
# The suite on darwin/amd64, under a loader on Linux (not on a Mac): with each of its backends as the default. What cannot
# be run is compiled and linked: darwin/arm64 and the BSDs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
loader=${MACHRUN:-../shared/tools/machrun}
if [[ -d $loader ]]; then
  command -v gcc >/dev/null && command -v make >/dev/null || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gcc make libc6-dev >/dev/null
  }
  built=$(mktemp -d)
  trap 'rm -rf "$built"' EXIT
  cp "$loader"/*.[ch] "$loader"/Makefile "$built"
  make -s -C "$built" machrun
  for backend in kqueue pipe; do
    GOOS=darwin GOARCH=amd64 NOTIFIER_BACKEND=$backend .ci/tally "darwin/amd64 $backend" \
      go test -v -count=1 -timeout=10m -exec "$built/machrun" ./notifier
  done
else
  echo "platform darwin/amd64: not run, there is no loader here"
fi
for target in darwin/arm64 freebsd/amd64 dragonfly/amd64 netbsd/amd64 openbsd/amd64; do
  GOOS=${target%/*} GOARCH=${target#*/} go test -c -o /dev/null ./notifier
  echo "$target: compiled and linked"
done
