#!/usr/bin/env bash
# That the tests notice what they are for: the Go half of the protocol is broken in a dozen ways, each of which a test must
# catch (go run ./verify/mutate has all sixty); and that they reach nine of ten statements, and all but those that
# CONTRIBUTING.md lists.
set -euo pipefail
cd "$(dirname "$0")/../.."
go run ./verify/mutate -quick -jobs 2
go run ./verify/coverage
