// Pidfd waits for a process that is no child of this one: its end is one more
// case of a select. wait(2) cannot do that, and people poll kill(pid, 0) instead.
//
//	go run ./examples/pidfd               # a process that sleeps for a second
//	go run ./examples/pidfd -pid 1234     # one that runs already
//
// It prints that the process still runs, four times a second, and then how many
// wake-ups its end took: one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/wakechan/wakechan/chanadapter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pidfd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("pidfd", flag.ExitOnError)
	pid := flags.Int("pid", 0, "process to wait for; 0: start one that sleeps")
	sleep := flags.Duration("for", time.Second, "how long that sleeps")
	_ = flags.Parse(args)
	if *pid == 0 {
		var err error
		if *pid, err = orphan(*sleep); err != nil {
			return err
		}
	}

	w, err := chanadapter.Process(*pid)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Fprintln(out, "nothing to show here:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()

	fmt.Fprintf(out, "process %d runs; its parent is process %s, not this one (%d)\n", *pid, parent(*pid), os.Getpid())
	start := time.Now()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintf(out, "%4d ms: it still runs\n", time.Since(start).Milliseconds())
		case <-w.C():
			fmt.Fprintf(out, "%4d ms: it has ended: one wake-up, no polling, no thread\n", time.Since(start).Milliseconds())
			return nil
		case <-ctx.Done():
			fmt.Fprintln(out, "interrupted")
			return nil
		}
	}
}

// orphan starts a process whose parent, a shell, ends at once.
func orphan(sleep time.Duration) (pid int, err error) {
	out, err := exec.Command("sh", "-c", fmt.Sprintf("sleep %f >/dev/null 2>&1 & echo $!", sleep.Seconds())).Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// parent returns the number of a process's parent: the field after the state, which
// is after the name in parentheses (proc(5)).
func parent(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	s := string(stat)
	if fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:]); len(fields) > 1 {
		return fields[1]
	}
	return "unknown"
}
