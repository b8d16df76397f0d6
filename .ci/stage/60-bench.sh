#!/usr/bin/env bash
# The bench builds, is formatted and vetted, and a quick run writes a report with its plots. Nothing here looks at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need gcc=gcc,libc6-dev
unformatted=$(gofmt -l bench)
[[ -z $unformatted ]] || { echo "gofmt: $unformatted"; exit 1; }
go vet -C bench .
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go run -C bench . -quick -o "$out"
for f in REPORT.md plots/redundant.svg plots/roundtrip.svg plots/cold-1000.svg plots/many.svg; do
  [[ -s $out/$f ]] || { echo "the bench wrote no $f"; exit 1; }
done
