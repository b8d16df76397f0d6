# "make" is the fast loop: it installs nothing, and takes less than a minute once things are compiled. "make NAME" runs a stage
# of the gate (.ci/stage), "make gate" all of them; those install what they need with apt-get.
stages := $(foreach s,$(wildcard .ci/stage/*.sh),$(word 2,$(subst -, ,$(basename $(notdir $s)))))

.PHONY: check gate help $(stages)

check:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go test -short . ./cmd/... ./internal/... ./notifier ./ring ./chanadapter ./verify/mutate

gate:
	.ci/run

help:
	@echo "make | make gate | make STAGE, where STAGE is one of: $(stages)"

$(stages):
	.ci/run -$@.
