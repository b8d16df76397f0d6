#!/usr/bin/env bash
# The model of the protocol, checked exhaustively, and its mutations, each of which must be caught.
set -euo pipefail
command -v spin >/dev/null && command -v gcc >/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends spin gcc libc6-dev >/dev/null
}
verify/model/run
