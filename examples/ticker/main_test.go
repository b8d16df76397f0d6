package main

// This file runs the built program, with cgo and without, as a user would. What
// a terminal sees is in terminal_linux_test.go.

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wakechan/wakechan/internal/testenv"
)

// builds are the ways to build the program.
var builds = []struct{ name, cgo, by string }{
	{"cgo", "1", "C thread, through notifier_notify"},
	{"nocgo", "0", "goroutine, through Handle.Notify, since this was built without cgo"},
}

// programs is where they are, by the value of CGO_ENABLED.
var programs string

var buildOnce = map[string]func() error{"0": builder("0"), "1": builder("1")}

func builder(cgo string) func() error {
	return sync.OnceValue(func() error {
		args := append([]string{"build", "-o", filepath.Join(programs, cgo)}, testenv.BuildFlags(cgo)...)
		cmd := exec.Command("go", append(args, ".")...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
		return nil
	})
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ticker")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// either is the build that is there sooner, where it does not matter which.
func either() string {
	if testenv.Race {
		return "1"
	}
	return "0"
}

// build builds the program; a test that gets no compiler for cgo ends here.
func build(t *testing.T, cgo string) string {
	t.Helper()
	if runtime.GOARCH == "wasm" {
		t.Skip("starts no processes")
	}
	testenv.Cheap(t, cgo)
	if cgo == "1" {
		cc := "gcc"
		if name := os.Getenv("CC"); name != "" {
			cc = strings.Fields(name)[0]
		}
		if _, err := exec.LookPath(cc); err != nil {
			testenv.Missing(t, "c", err.Error())
		}
	}
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "go", err.Error())
	}
	if err := buildOnce[cgo](); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, cgo)
}

// command returns the program's command, which is killed when it hangs.
func command(t *testing.T, program, args string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience())
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, program, strings.Fields(args)...)
}

var summaryLine = regexp.MustCompile(`(?m)^sent (\d+), woken (\d+), coalesced (\d+)(?:, cut off (\d+))?(?:; \d+ more wake-ups found nothing new)?\nwake-up latency: (p50 \S+, p99 \S+, max \S+|no wake-up came)\n`)

var callbackLine = regexp.MustCompile(`(?m)^by a cgo callback: p50 \S+, p99 \S+, max \S+\n`)

// checkSummary checks that the sum adds up, and returns its parts.
func checkSummary(t *testing.T, out string) (sent, woken uint64) {
	t.Helper()
	m := summaryLine.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no summary in:\n%s", out)
	}
	var coalesced, late uint64
	for i, v := range []*uint64{&sent, &woken, &coalesced, &late} {
		fmt.Sscan(m[i+1], v)
	}
	if sent != woken+coalesced+late {
		t.Errorf("it does not add up: %s", m[0])
	}
	return sent, woken
}

func TestRunsToItsEnd(t *testing.T) {
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			program := build(t, b.cgo)
			for _, run := range []struct {
				args string
				sent uint64
			}{
				{"-n 200 -interval 1ms", 200}, // long enough that the callback too gets a processor
				{"-n 100000 -interval 0", 100_000},
				{"-n 3 -interval 5ms -tickers 300", 900},
			} {
				out, err := command(t, program, run.args).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", run.args, err, out)
				}
				if sent, woken := checkSummary(t, string(out)); sent != run.sent || woken == 0 {
					t.Errorf("%s: %d were sent, not %d, and %d woken:\n%s", run.args, sent, run.sent, woken, out)
				}
				if !strings.Contains(string(out), b.by) {
					t.Errorf("%s: does not say that a %s ticks:\n%s", run.args, b.by, out)
				}
				// Beside the notifier's ticks stand those of a cgo callback, where that means something.
				compared := b.cgo == "1" && run.sent == 200
				if callbackLine.Match(out) != compared {
					t.Errorf("%s: a comparison with a callback is there or not, against what should be (%v):\n%s", run.args, compared, out)
				}
				if bytes.ContainsRune(out, '\r') {
					t.Errorf("%s: a live line on what is no terminal:\n%q", run.args, out)
				}
			}
		})
	}
}

// The README's command must end by itself.
func TestDefaultFlagsEnd(t *testing.T) {
	if !testenv.Long() {
		t.Skip("takes two seconds")
	}
	out, err := command(t, build(t, either()), "").Output()
	if err != nil {
		t.Fatal(err)
	}
	if sent, _ := checkSummary(t, string(out)); sent == 0 {
		t.Errorf("nothing was sent:\n%s", out)
	}
}

func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted alone")
	}
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			program := build(t, b.cgo)
			// The second tick is an hour away: an interrupt must not wait for it.
			for _, args := range []string{"-n 0 -interval 1ms", "-n 0 -interval 1h", "-n 0 -interval 100us -tickers 20"} {
				cmd := command(t, program, args)
				pipe, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewReader(pipe)
				head, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
				rest, _ := io.ReadAll(lines)
				if err := cmd.Wait(); err != nil {
					t.Errorf("%s: %v", args, err)
				}
				if !strings.Contains(string(rest), "interrupted\nsent ") {
					t.Errorf("%s: does not say that it was interrupted:\n%s%s", args, head, rest)
				}
				checkSummary(t, string(rest))
			}
		})
	}
}

func TestWrongFlags(t *testing.T) {
	program := build(t, either())
	for args, want := range map[string]string{
		"-interval -1s": "negative",
		"-tickers 0":    "at least 1",
		"now":           `unexpected argument "now"`,
		"-x":            "not defined",
	} {
		out, err := command(t, program, args).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

func TestDrawLeavesNothingStanding(t *testing.T) {
	var out bytes.Buffer
	s := screen{out: &out, began: time.Now(), tickers: []*ticker{{shared: new(shared)}}}
	s.latency = 123400 * time.Nanosecond
	s.draw()
	long := out.Len()
	out.Reset()
	s.latency = 1
	s.draw()
	if out.Len() != long {
		t.Errorf("%q does not cover the %d characters before it", out.String(), long)
	}
}

func TestSample(t *testing.T) {
	var s sample
	if got := s.String(); got != "no wake-up came" {
		t.Error(got)
	}
	for i := 100; i > 0; i-- {
		s.add(time.Duration(i) * time.Microsecond)
	}
	if got := s.String(); got != "p50 50µs, p99 99µs, max 100µs" {
		t.Error(got)
	}
	// So many that most are dropped: the percentiles stay where they are.
	s = sample{}
	const many = 4 * sampleSize
	for i := range many {
		s.add(time.Duration(i) * 7919 % many) // an int may have 32 bits
	}
	if len(s.kept) >= sampleSize {
		t.Errorf("%d are kept", len(s.kept))
	}
	_ = s.String() // sorts
	if got, want := int(s.kept[len(s.kept)/2]), many/2; got < want*98/100 || got > want*102/100 {
		t.Errorf("the median is %d, not some %d", got, want)
	}
	if s.max != many-1 {
		t.Errorf("the maximum is %d", s.max)
	}
}
