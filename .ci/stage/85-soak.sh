#!/usr/bin/env bash
# Everything at once for a minute: a lost wake-up, a token after Close or a byte in somebody else's descriptor ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."
go run ./verify/soak -for "${SOAK:-60s}"
