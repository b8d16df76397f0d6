// Command bench measures this library and what people use instead, side by side
// in one process, and writes REPORT.md and its plots. From the root of the
// repository:
//
//	go run -C bench .
//
// With -quick it takes under a minute and shows only that everything works: then it
// writes to a new temporary folder, unless -o says where. Two builds are compared by
// benchstat (golang.org/x/perf/cmd/benchstat):
//
//	go run -C bench . -only go-wake -samples /tmp/before
//	go run -C bench . -only go-wake -samples /tmp/after # of the other build
//	benchstat /tmp/before /tmp/after
package main

// This file holds the command and the order of the scenarios.

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

var noLinger = notifier.WithLinger(0)

// bench is one run of the command.
type bench struct {
	quick   bool
	factor  float64
	targets map[string]spread
	floors  map[string]spread
	report  []*section
	samples *os.File // nil: none are asked for
}

func main() {
	quick := flag.Bool("quick", false, "few and short rounds: under a minute, numbers mean little")
	only := flag.String("only", "", "run only the scenarios whose names contain one of these, separated by commas; writes no report")
	factor := flag.Float64("rounds", 1, "multiply the number of rounds")
	out := flag.String("o", "", "the folder for REPORT.md and plots/ (default the current one; with -quick a new temporary one)")
	samples := flag.String("samples", "", "write each round's time in contests (all but cold, cost, stopworld and busy) to this file, for benchstat to compare with another build's")
	flag.Parse()
	patient = !*quick
	b := &bench{quick: *quick, factor: *factor, targets: map[string]spread{}, floors: map[string]spread{}}
	if *samples != "" {
		b.samples = must1(os.Create(*samples))
		must1(fmt.Fprintf(b.samples, "goos: %s\ngoarch: %s\npkg: github.com/wakechan/wakechan/bench\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, cpuModel()))
	}
	scenarios := []struct {
		name string
		run  func()
	}{
		{"redundant", b.redundant},
		{"roundtrip", b.roundTrip},
		{"cold", b.cold},
		{"go-redundant", b.goRedundant},
		{"go-wake", b.goWake},
		{"cost", b.cost},
		{"many", b.many},
		{"life", b.life},
		{"stopworld", b.stopWorld},
		{"busy", b.busy},
		{"bystander", b.bystander},
		{"nobody", b.nobody},
		{"records", b.records},
		{"out", b.out},
		{"watch", b.watch},
	}
	began := time.Now()
	ran := 0
	for _, s := range scenarios {
		if !wanted(s.name, *only) {
			continue
		}
		ran++
		t := time.Now()
		s.run()
		fmt.Fprintf(os.Stderr, "%-14s %5.1f s\n", s.name, time.Since(t).Seconds())
	}
	if b.samples != nil {
		must(b.samples.Close())
	}
	if ran == 0 {
		names := make([]string, len(scenarios))
		for i, s := range scenarios {
			names[i] = s.name
		}
		fmt.Fprintf(os.Stderr, "-only %q fits none of: %s\n", *only, strings.Join(names, ", "))
		os.Exit(2)
	}
	text := b.text(time.Since(began))
	if *only != "" {
		fmt.Print(text)
		return
	}
	if *out == "" && *quick { // not over a report whose numbers mean something
		*out = must1(os.MkdirTemp("", "bench-quick-"))
	}
	must(os.MkdirAll(filepath.Join(*out, "plots"), 0o755))
	for _, s := range b.report {
		must(s.draw(filepath.Join(*out, "plots")))
	}
	must(os.WriteFile(filepath.Join(*out, "REPORT.md"), []byte(text), 0o644))
	fmt.Println(b.targetTable())
	fmt.Println("wrote", filepath.Join(*out, "REPORT.md"))
}

func wanted(name, only string) bool {
	if only == "" {
		return true
	}
	for _, part := range strings.Split(only, ",") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// rounds is how many of them, given the full run's number.
func (b *bench) rounds(full int) int {
	if b.quick {
		return max(5, full/6)
	}
	return max(3, int(float64(full)*b.factor))
}

// length is how long a round is.
func (b *bench) length(full time.Duration) time.Duration {
	if b.quick {
		return max(time.Millisecond, full/2)
	}
	return full
}

func (b *bench) pick(full, quick []int) []int {
	if b.quick {
		return quick
	}
	return full
}

func (b *bench) target(name string, measured spread) { b.targets[name] = measured }

// atWorst is target for the worst of several rows.
func (b *bench) atWorst(name string, measured spread) {
	if measured.median > b.targets[name].median {
		b.target(name, measured)
	}
}

// floor is what the same ratio would be for what no implementation can do without.
func (b *bench) floor(name string, measured spread) { b.floors[name] = measured }
