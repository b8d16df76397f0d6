#!/usr/bin/env bash
# That the tests notice what they are for: the Go half of the protocol is broken in some ways, each of which a test must
# catch (go run ./verify/mutate has them all); and the short tests reach nine of ten statements in the packages that programs
# import. What they reach in processes of their own is not counted.
set -euo pipefail
cd "$(dirname "$0")/../.."
go run ./verify/mutate -quick -jobs 2

profile=$(mktemp)
trap 'rm -f "$profile" "$profile".*' EXIT
go list ./... | grep -vE '/(internal|examples|verify|e2e)(/|$)' | xargs go list -deps | grep '^github.com/wakechan/' >"$profile.packages"
# One test runs itself in a process that has no descriptor left for a profile.
xargs go test -short -count=1 -skip='^TestPollersUntilThereAreNoDescriptors$' -coverprofile="$profile" \
  -coverpkg="$(paste -sd, "$profile.packages")" <"$profile.packages" >"$profile.log" || { cat "$profile.log"; exit 1; }
go tool cover -func "$profile" | awk '
  $2 != "(statements)" && $3 == "0.0%" { print "not reached: " $1 " " $2 }
  END { sub(/%/, "", $3); printf "coverage: %s %% of statements, at least 90 are wanted\n", $3; exit $3 < 90 }'
