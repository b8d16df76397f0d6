#!/usr/bin/env bash
# What can be said without running anything: formatting, vet, staticcheck, every system compiles, tidy modules, the
# edges of the dependencies, nothing of a machine in the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
errcheck=github.com/kisielk/errcheck@v1.30.0
actionlint=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

fail() { printf '%s\n' "$@" >&2; exit 1; }

# Where the whole module is checked, with GOOS/GOARCH. The others only compile, without their tests: they differ from one
# of these in the processor alone, and where tests run in another stage "go test" vets those too.
vetted=(windows/amd64 darwin/arm64 freebsd/amd64 openbsd/amd64 netbsd/amd64 dragonfly/amd64
  wasip1/wasm js/wasm plan9/amd64 linux/386 aix/ppc64 illumos/amd64)
compiled=(darwin/amd64 windows/arm64 linux/arm64 linux/s390x linux/arm linux/riscv64 linux/ppc64le linux/loong64 linux/mips
  solaris/amd64 android/arm64)

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
[[ -z $unformatted ]] || fail "gofmt would change:" "$unformatted"
echo "gofmt: clean"

go vet ./...
CGO_ENABLED=0 go vet ./...
echo "go vet: clean, with cgo and without"

# Vet needs the types of all dependencies, so they are compiled: unoptimised, which takes 0.6 of the time.
quick='-gcflags=all=-N -l'
for target in "${vetted[@]}"; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go vet "$quick" ./... || fail "go vet fails for $target"
done
echo "go vet: clean for ${vetted[*]}"
for target in "${compiled[@]}"; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go build "$quick" ./... || fail "does not compile for $target"
done
echo "compiled: ${compiled[*]}"

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install "$staticcheck"
"$bin/staticcheck" ./...
# What is shared is unused where a system lacks its user, or has twins that only panic.
for target in windows/amd64 darwin/arm64 freebsd/amd64 wasip1/wasm; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 "$bin/staticcheck" -checks inherit,-U1000,-SA4006 ./... || fail "staticcheck fails for $target"
done
echo "staticcheck: clean (${staticcheck##*@})"
# In what programs import, and in what the README shows, each error is looked at.
GOBIN=$bin go install "$errcheck"
shown=$(ls -d examples/hello/ examples/hello/*/ 2>/dev/null | sed 's|^|./|; s|/$||')
"$bin/errcheck" -ignoretests -exclude <(printf 'fmt.Fprint\nfmt.Fprintf\nfmt.Fprintln\n') ./notifier/... ./ring/... ./chanadapter ./cmd/... $shown ||
  fail "errors that nobody looks at"
echo "errcheck: clean (${errcheck##*@})"

# Without the tools that it would use if they happened to be here.
GOBIN=$bin go install "$actionlint"
"$bin/actionlint" -shellcheck= -pyflakes= .github/workflows/*.yml
for part in $(sed -nE 's/^ *((- )?run: )?\.ci\/run ([-a-z. ]+)$/\3/p; s/^ *(-|stages:) ([-a-z. ]+)$/\2/p' .github/workflows/gate.yml); do
  compgen -G ".ci/stage/*$part*.sh" >/dev/null || fail "a workflow names a stage that is not there: $part"
done
echo "workflows: actionlint ${actionlint##*@}"

for mod in $(git ls-files 'go.mod' '*/go.mod'); do
  (cd "$(dirname "$mod")" && go mod tidy -diff && go mod verify >/dev/null) || fail "$mod is not tidy"
done
echo "go.mod: tidy and verified"

# The root module needs x/sys, x/sync and, for tests, testify with what it needs; nothing more.
odd=$(go list -m -f '{{if not .Main}}{{if not .Indirect}}{{.Path}}{{end}}{{end}}' all | grep . |
  grep -vxE 'golang.org/x/(sys|sync)|github.com/stretchr/testify' || true)
[[ -z $odd ]] || fail "the root module must not depend on:" "$odd"
# What an importer gets compiled in: testify never.
odd=$(go list -deps -f '{{if and (not .Standard) .Module}}{{if not .Module.Main}}{{.Module.Path}}{{end}}{{end}}' ./... | grep . | sort -u |
  grep -vxE 'golang.org/x/(sys|sync)' || true)
[[ -z $odd ]] || fail "code outside of tests imports:" "$odd"
# x/sys is for system calls, so only for files of one system: by name (_linux.go) or build tag.
for file in $(git grep -lE '"golang.org/x/sys/' -- '*.go' ':!bench'); do
  [[ $file =~ _(linux|windows|darwin|freebsd|openbsd|netbsd|dragonfly|solaris|illumos|aix|wasip1|js|plan9)(_[a-z0-9]+)?(_test)?\.go$ ]] ||
    grep -qE '^//go:build .*\b(unix|linux|windows|darwin|freebsd|openbsd|netbsd|dragonfly|solaris|illumos|aix)\b' "$file" ||
    fail "$file imports golang.org/x/sys, and neither its name nor a build tag ties it to a system"
done
echo "dependencies: x/sys, x/sync, testify; x/sys in files of one system only"

# Paths of whoever wrote it, and hosts of package registries, are nobody else's business.
odd=$(git grep -nIE '(^|[^A-Za-z0-9_.])/(work|root|home/[a-z]+|Users/[A-Za-z]+)/|proxy\.golang\.org|registry\.npmjs|files\.pythonhosted|crates\.io/api' -- . ':!.ci/stage/10-static.sh' || true)
[[ -z $odd ]] || fail "paths or hosts of one machine:" "$odd"
echo "no machine's paths or hosts"
