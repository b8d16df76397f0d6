package main

// This file looks at the live line through a pseudo-terminal, which is the only
// thing here that is Linux's.

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestLiveLine(t *testing.T) {
	program := build(t, either())
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, "pty", err.Error())
	}
	defer master.Close()
	// pts(4): unlocked first, then opened by its number.
	var number int
	conn, err := master.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) {
			if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
				number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			}
		})
	}
	if err != nil {
		testenv.Missing(t, "pty", err.Error())
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, "pty", err.Error())
	}

	cmd := command(t, program, "-n 5 -interval 50ms")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.Stdout = terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	seen, _ := io.ReadAll(master) // ends with EIO when the other side is closed
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, seen)
	}
	out := strings.ReplaceAll(string(seen), "\r\n", "\n")
	if sent, _ := checkSummary(t, out); sent != 5 {
		t.Errorf("%d were sent", sent)
	}
	lines := strings.Split(out, "\n")
	want := 5 // head, live line, two of the summary, ""
	if either() == "1" {
		want++ // the same by a cgo callback
	}
	if len(lines) != want {
		t.Fatalf("%d lines:\n%q", len(lines), out)
	}
	drawn := strings.Split(lines[1], "\r")
	if len(drawn) < 3 || !strings.Contains(drawn[len(drawn)-1], ": 5 ticks, ") {
		t.Errorf("the live line was not drawn again and again up to the end: %q", lines[1])
	}
}
