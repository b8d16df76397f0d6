package main

// This file holds what REPORT.md looks like, and what was promised.

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// section is a part of the report: a table, perhaps with a plot.
type section struct {
	title, intro string
	tables       []*table
	bars         []bar
	lines        []curve
	drawing      *drawing
}

func (b *bench) section(title, intro string) *section {
	s := &section{title: title, intro: intro}
	b.report = append(b.report, s)
	return s
}

type table struct{ rows [][]string }

func (s *section) table(head ...string) *table {
	t := &table{rows: [][]string{head}}
	s.tables = append(s.tables, t)
	return t
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

func (t *table) String() string {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var s strings.Builder
	for r, row := range t.rows {
		for i, c := range row {
			s.WriteString("| " + c + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+1))
		}
		s.WriteString("|\n")
		if r == 0 {
			for _, w := range width {
				s.WriteString("|" + strings.Repeat("-", w+2))
			}
			s.WriteString("|\n")
		}
	}
	return s.String()
}

func quartiles(m spread) string { return duration(m.low) + " to " + duration(m.high) }

// ratio writes a ratio with its quartiles.
func ratio(m spread) string {
	return fmt.Sprintf("%s x (%s to %s)", short(m.median), short(m.low), short(m.high))
}

func short(v float64) string {
	switch {
	case v < 0.1:
		return fmt.Sprintf("%.4f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// noLimit is for what is no promise, but tells what one is worth.
const noLimit = -1

// promises are the ratios that this library is meant to keep.
var promises = []struct {
	key, what, rival string
	limit            float64
	unit             string
}{
	{"callback", "foreign notify, already pending", "a cgo callback that does the same", 1. / 8, "x"},
	{"write", "the same", "write(2) to an eventfd", 1. / 80, "x"},
	{"function", "a function of notifier.Callback, already pending", "the header's, inline", 1.15, "x"},
	{"bound", "a function of Notifier.Bind, already pending", "the same", noLimit, "x"},
	{"function-purego", "a function of notifier.Callback, already pending", "purego.NewCallback and a channel", 1. / 10, "x"},
	{"roundtrip-epoll", "round trip C thread -> goroutine selecting on C -> C thread, back to back", "two C threads with eventfd + epoll", 0.6, "x"},
	{"roundtrip-callback", "the same", "a cgo callback", 0.5, "x"},
	{"cold", "cold wake-up (1,000 a second), p50, receiver on C", "a hand-made eventfd + os.File + goroutine + channel", 1.0, "x"},
	{"cold-function", "the same, by a function of notifier.Callback", "the header's, inline", 1.05, "x"},
	{"cold-cpu", "the same, CPU of the process", "no lingering", 1.2, "x"},
	{"bystander-p50", "a socket's reader beside 20,000 notifications a second, GOMAXPROCS 1, p50", "no lingering", 1.5, "x"},
	{"bystander-p90", "the same, p90", "no lingering", 1.5, "x"},
	{"bystander-busy-p50", "the same on all processors with a busy goroutine, p50", "no lingering", 1.5, "x"},
	{"bystander-busy-p90", "the same, p90", "no lingering", 1.5, "x"},
	{"bystander-ring-p50", "a socket's reader beside a ring's, GOMAXPROCS 1, p50", "no lingering", 1.5, "x"},
	{"bystander-ring-p90", "the same, p90", "no lingering", 1.5, "x"},
	{"bystander-ring-busy-p50", "the same on all processors with a busy goroutine, p50", "no lingering", 1.5, "x"},
	{"bystander-ring-busy-p90", "the same, p90", "no lingering", 1.5, "x"},
	{"nobody", "notifications every 50 to 90 µs that nobody receives, CPU of the process", "no lingering", 1.2, "x"},
	{"cold-eventfd", "cold wake-up, receiver in the Wait of an EventFD", "a cgo callback", 1.2, "x"},
	{"stopworld", "foreign notify while the world stops (runtime.ReadMemStats), p99 of the producer's call", "a cgo callback", 1. / 20, "x"},
	{"go-redundant", "Go Notify, token already there", "a bare select with default", 2.3, "x"},
	{"go-allocs", "the same, allocations", "", 0, ""},
	{"go-flat", "the same, as many goroutines as cores", "one goroutine", 1.1, "x"},
	{"go-wake", "Go Notify that wakes a receiver", "the bare channel", 1.15, "x"},
	{"many", "a delivered wake-up, 100,000 notifiers (k = 10)", "100 notifiers", 1.0, "x"},
	{"memory", "memory of an idle notifier with a handle, shared memory included", "", 256, "bytes"},
	{"descriptors", "its threads and descriptors", "", 0, ""},
	{"ring-single", "ring of a single producer: time for a 32-byte record from one C thread", "a cgo callback a record", 1. / 8, "x"},
	{"ring-single-full", "the same: pushes that found it full, and were tried again", "", noLimit, "of 1,000"},
	{"ring", "ring for any number of producers: the same time", "a cgo callback a record", 1. / 8, "x"},
	{"ring-stopworld", "the same while the world stops (runtime.ReadMemStats), p99 of the producer's call", "the same", 1. / 20, "x"},
	{"ring-batches", "Batches: time a record, the worst of the six rows", "Records", 1.3, "x"},
	{"ring-chan", "Chan: the same", "goroutines and a Go channel", 1.5, "x"},
	{"ring-wait", "threads that wait for room, at 0.7 of what the reader takes: time a record, the worst of the six rows", "threads that try again", 1.25, "x"},
	{"group", "CPU an event, a Group of 900 descriptors of which 50 are ready", "a Watcher each and reflect.Select", 0.6, "x"},
	{"watcher", "memory of a Watcher in a Group", "one with a channel", 1, "x"},
	{"change", "Watcher.Change", "EPOLL_CTL_MOD", 1.5, "x"},
	{"change-allocs", "the same, allocations", "", 0, ""},
	{"out", "Out: p99 of a read, while Go collects garbage", "C writes the same memory, without Go", 1.2, "x"},
}

func (b *bench) targetTable() string {
	t := &table{rows: [][]string{{"what", "against", "at most", "measured (quartiles)", "met", "the floor"}}}
	for _, p := range promises {
		m, ok := b.targets[p.key]
		if !ok {
			continue
		}
		measured := fmt.Sprintf("%s %s", short(m.median), p.unit)
		if p.unit == "x" {
			measured = ratio(m)
		}
		if m.low == m.high {
			measured = fmt.Sprintf("%.1f %s", m.median, p.unit)
		}
		verdict := "yes"
		if m.median > p.limit {
			verdict = fmt.Sprintf("no, by %.0f%%", 100*(m.median/p.limit-1))
			if p.limit == 0 {
				verdict = "no"
			}
		}
		limit := fmt.Sprintf("%.3g %s", p.limit, p.unit)
		if p.limit > 0 && p.limit < 0.2 {
			limit = fmt.Sprintf("1/%.0f", 1/p.limit)
		}
		if p.limit == noLimit {
			limit, verdict = "", ""
		}
		floor := ""
		if m, ok := b.floors[p.key]; ok {
			floor = ratio(m)
		}
		t.add(p.what, p.rival, limit, measured, verdict, floor)
	}
	return t.String()
}

const floorsNote = "The floor is what the same ratio would be for what nobody can do without, measured in the same rounds: for a pending notification a full fence and nothing else; for Go's Notify a function that has such a fence and looks at the channel; for the round trip a goroutine that looks at one word and sends to the one that answers; for EventFD a goroutine in os.File.Read, with no context and no channel; for many notifiers 100 whose bits lie as far apart as those of 100,000; for a Group the same with an epoll set of its own, which a thread waits in; for the rings, as near as one can come, the same done in C: a reservation (by a locked instruction, if there may be other producers), the bytes, and a C thread that reads them and gives back zeroed memory, with nobody to wake and nothing checked."

func (b *bench) text(took time.Duration) string {
	var s strings.Builder
	s.WriteString("# What a wake-up costs\n\n")
	command := "go run -C bench ."
	if b.quick {
		command += " -quick"
		s.WriteString("**A quick run: it shows that the bench works; its numbers mean little.**\n\n")
	}
	if b.factor != 1 {
		command += fmt.Sprintf(" -rounds %g", b.factor)
	}
	var u unix.Utsname
	must(unix.Uname(&u))
	fmt.Fprintf(&s, "Written by `%s` (%.0f s) on %s: %s, %d cores, GOMAXPROCS %d, %s, Linux %s.\n\n",
		command, took.Seconds(), time.Now().Format("2006-01-02"), cpuModel(), runtime.NumCPU(), runtime.GOMAXPROCS(0),
		runtime.Version(), unix.ByteSliceToString(u.Release[:]))
	s.WriteString("Not measured: Poll.Trigger of cloudwego/netpoll, which exports no way to get a Poll (v0.7.2), and Rust's and Zig's loops, which need other toolchains and are cited in bench/NOTES.md.\n\n")
	s.WriteString("All contestants of a table run in one process, interleaved in short rounds; a time is the median over the rounds, with the quartiles around it. A ratio is the median of the ratios in each round, again with quartiles: other load on the machine hits all alike. Below 1 this library is faster. `notifier is` (and alike) divides its time by that row's.\n\n")
	if all := disturbed.quiet + disturbed.kept; all > 0 && !b.quick {
		fmt.Fprintf(&s, "Rounds in which other processes used more than %.0f%% of the machine are run again, up to %d times each: %d were, and of the %d that count %.0f%% were disturbed all the same.\n\n",
			100*maxOthers, maxDiscarded, disturbed.discarded, all, 100*float64(disturbed.kept)/float64(all))
	}
	if table := b.targetTable(); len(b.targets) > 0 {
		s.WriteString("## What was promised\n\n" + table + "\n" + floorsNote + "\n\n")
	}
	for _, sec := range b.report {
		fmt.Fprintf(&s, "## %s\n\n%s\n\n", sec.title, sec.intro)
		for _, t := range sec.tables {
			s.WriteString(t.String() + "\n")
		}
		if sec.drawing != nil {
			fmt.Fprintf(&s, "![%s](plots/%s.svg)\n\n", sec.drawing.title, sec.drawing.file)
		}
	}
	return strings.TrimRight(s.String(), "\n") + "\n"
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// chart says how the section's values are drawn.
func (s *section) chart(file, title, x, y string, kind drawingKind) {
	s.drawing = &drawing{file, title, x, y, kind}
}
