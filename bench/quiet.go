package main

// This file tells whether other processes disturbed a round. On a small machine
// one compiler elsewhere doubles every time, and not for all contestants alike:
// a spinning one suffers most, and a sleeping one may even gain, since the cores
// do not fall asleep.

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxOthers is the part of all cores that others may use during a round.
	maxOthers = 0.1
	// maxDiscarded is how many disturbed rounds are thrown away for each that
	// counts; after that they count too, and the report says how many there are.
	maxDiscarded = 2
)

var disturbed struct{ quiet, kept, discarded int }

// patient is unset for quick runs, which keep every round.
var patient = true

// watchOthers returns a function that reports whether the machine has been this
// process's own since.
func watchOthers() func() bool {
	began, own, all := time.Now(), processCPU(), machineCPU()
	return func() bool {
		others := machineCPU() - all - (processCPU() - own)
		// The kernel counts in steps of 10 ms: one step means nothing.
		return others <= 10*time.Millisecond ||
			float64(others) <= maxOthers*float64(time.Since(began))*float64(runtime.NumCPU())
	}
}

// machineCPU is the time that all cores have spent on anything, the hypervisor's
// other guests included (proc(5), /proc/stat).
func machineCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	_, _ = fmt.Sscanf(string(line), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	return time.Duration(user+nice+system+irq+softirq+steal) * time.Second / 100
}

// processCPU is user and system time so far.
func processCPU() time.Duration {
	var u unix.Rusage
	must(unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
