#!/usr/bin/env bash
# The README's Install block and its quick start, as a new user has them: the module comes as a zip of v0.1.0 from a GOPROXY, the
# commands run exactly as printed in an empty module, and the programs are pasted into it. With cgo and without, and vendored.
#
# The commands are the sh blocks after a line "<!--install-->"; the programs are the go blocks with a "package main". Where the
# README has none, with cgo or without, that of examples/hello is taken.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/need gcc=gcc,libc6-dev
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# blocks LANGUAGE MARK writes the README's blocks, each to a file of its own.
blocks() {
  awk -v language="$1" -v mark="$2" -v out="$work/$1." '
    $0 == "```" && inside     { inside = 0; close(out n) }
    inside                    { print >(out n) }
    $0 == "```" language && (mark == "" || marked) { inside = 1; n++ }
    $0 != ""                  { marked = $0 == mark }' README.md
}
blocks sh '<!--install-->'
blocks go ''
commands=$(cat "$work"/sh.*)
programs=()
for block in "$work"/go.*; do ! grep -q '^package main$' "$block" || programs+=("$block"); done
programs+=("$PWD/examples/hello/main.go" "$PWD/examples/hello/main_nocgo.go")
cgo='' nocgo=''
for program in "${programs[@]}"; do
  if grep -q '^import "C"$' "$program"; then cgo=${cgo:-$program}; else nocgo=${nocgo:-$program}; fi
done
[[ $cgo && $nocgo ]] || { echo "there is not one program with cgo and one without: ${programs[*]}"; exit 1; }

# The go command itself makes the zip, out of a clone with a tag; what it leaves in its cache is a GOPROXY. All else comes from
# where it usually does, or from the cache of this machine.
git clone -q --no-hardlinks . "$work/repository"
git -C "$work/repository" tag v0.1.0
cat >"$work/gitconfig" <<END
[url "file://$work/repository"]
	insteadOf = https://github.com/wakechan/wakechan
END
GIT_CONFIG_GLOBAL=$work/gitconfig GOMODCACHE=$work/made GOPROXY=direct GONOSUMDB='*' go mod download github.com/wakechan/wakechan@v0.1.0
GOPROXY=file://$work/made/cache/download,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)
export GOPROXY GOMODCACHE=$work/cache GONOSUMDB=github.com/wakechan/wakechan GOFLAGS=

run() { # only what is built may take no longer than a moment
  go build -o "$work/program" .
  timeout 60 "$work/program"
}

try() { # NAME CGO_ENABLED PROGRAM
  mkdir "$work/$2"
  cd "$work/$2"
  export CGO_ENABLED=$2
  local command
  while IFS= read -r command <&3; do
    echo "\$ $command"
    bash -c "$command" </dev/null
  done 3<<<"go mod init example.com/hello
$commands"
  ls notifier.h ring.h >/dev/null
  cp "$3" main.go
  go vet .
  run
  go mod tidy
  go mod vendor
  run
  go tool notifierh -o .
  go mod verify >/dev/null
  cd - >/dev/null
  echo "$1: installed, run, and run vendored"
}
try "with cgo" 1 "$cgo"
try "without cgo" 0 "$nocgo"
