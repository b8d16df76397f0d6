#!/usr/bin/env bash
# What a newcomer does, before anything else, so that nothing is there which later stages install: a clean clone, and in it the
# README's commands exactly as printed. They are the sh blocks after a line "<!--run-->".
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need gcc=gcc,libc6-dev
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q --no-hardlinks . "$clone/wakechan"
cd "$clone/wakechan"
commands=$(awk '
  marked && /^```$/    { inside = marked = 0; next }
  inside               { print; next }
  marked && /^```sh$/  { inside = 1; next }
  /^<!--run-->$/     { marked = 1 }' README.md)
(($(grep -c . <<<"$commands") >= 2)) || { echo "the README has no commands to run"; exit 1; }
while IFS= read -r command <&3; do
  echo "\$ $command"
  began=$SECONDS
  env -u WAKECHAN_REQUIRE -u WAKECHAN_LONG bash -c "$command" </dev/null >"$clone/out" 2>&1 || {
    cat "$clone/out"
    awk -f .ci/failures.awk -v name="a clean clone: $command" "$clone/out" | tee "${WAKECHAN_FAILED:-/dev/null}"
    exit 1
  }
  grep -v 'no test files' "$clone/out" | tail -n 30
  echo "($((SECONDS - began)) s)"
done 3<<<"$commands"
left=$(git status --porcelain)
[[ -z $left ]] || { echo "the commands left something in the tree:"; echo "$left"; exit 1; }
