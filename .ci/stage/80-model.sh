#!/usr/bin/env bash
# The model of the protocol, checked exhaustively, and its mutations, each of which must be caught.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need spin=spin gcc=gcc,libc6-dev
verify/model/run
