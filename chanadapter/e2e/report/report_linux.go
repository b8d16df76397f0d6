package report

// This file holds the table, and what Linux says of this process.

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Latencies gathers times.
type Latencies []time.Duration

// Percentile returns the time that p of 100 don't exceed, and 0 if there are none.
func (l Latencies) Percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Clone(l)
	slices.Sort(sorted)
	return sorted[min(int(float64(len(sorted))*p/100), len(sorted)-1)]
}

// Row is what one source did.
type Row struct {
	Source   string
	Messages int
	Lost     int
	Wakeups  int // of the receiving goroutine
	Wake     Latencies
	CPU      time.Duration // of this process, or 0 if it was not measured
	Threads  string        // of the process
}

const header = `| source | messages | lost | wake-ups | p50 | p99 | max | CPU | threads |
|---|---|---|---|---|---|---|---|---|`

// Write logs the row, and appends it to the table in the file that E2E_TABLE
// names.
func (r Row) Write(t testing.TB) {
	t.Helper()
	at := func(p float64) string {
		if len(r.Wake) == 0 {
			return "-"
		}
		return r.Wake.Percentile(p).Round(time.Microsecond / 10).String()
	}
	cpu := "-"
	if r.CPU > 0 {
		cpu = r.CPU.Round(time.Millisecond).String()
	}
	line := fmt.Sprintf("| %s | %d | %d | %d | %s | %s | %s | %s | %s |",
		r.Source, r.Messages, r.Lost, r.Wakeups, at(50), at(99), at(100), cpu, r.Threads)
	t.Log(line)
	if name := os.Getenv("E2E_TABLE"); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err == nil && info.Size() == 0 {
			line = header + "\n" + line
		}
		if _, err = fmt.Fprintln(f, line); err != nil {
			t.Fatal(err)
		}
		if err = f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// CPU returns how much processor time this process has used.
func CPU(t testing.TB) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Threads returns how many threads this process has.
func Threads(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nThreads:\t")
	n, err := strconv.Atoi(rest[:strings.IndexByte(rest, '\n')])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
