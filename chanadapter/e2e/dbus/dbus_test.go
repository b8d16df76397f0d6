//go:build e2e && linux

package dbus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

const configuration = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:dir=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
`

// bus starts a dbus-daemon, and returns its address.
func bus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		testenv.Missing(t, "dbus", err.Error())
	}
	dir, err := os.MkdirTemp("", "wakechan-dbus-") // a short name: a socket's is limited
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "bus.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, configuration, dir), 0o644))
	daemon := exec.Command(program, "--config-file="+file, "--nofork", "--nopidfile", "--nosyslog", "--print-address=1")
	daemon.Stderr = os.Stderr
	out, err := daemon.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(address)
}

// TestCalls has a caller queue 200 calls of 32 KiB at a time, for which its socket has no
// room, and a callee answer each. All arrive, in order, on both sides.
func TestCalls(t *testing.T) {
	total := 5000
	if testing.Short() {
		total = 1000
	}
	const window = 200
	for _, way := range []struct {
		name string
		run  func(t *testing.T, callee, caller *Side, row *report.Row)
	}{
		{"Group", byGroup},
		{"dbus_connection_read_write_dispatch, a thread each", func(t *testing.T, callee, caller *Side, row *report.Row) {
			require.NoError(t, callee.Start())
			require.NoError(t, caller.Start())
			row.Threads = fmt.Sprint(report.Threads(t))
			require.NoError(t, errors.Join(callee.Wait(), caller.Wait()))
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			address := bus(t)
			callee, err := Join(address, total, 0, "")
			require.NoError(t, err)
			defer callee.Close()
			caller, err := Join(address, total, window, callee.Name())
			require.NoError(t, err)
			defer caller.Close()
			row := report.Row{Source: "libdbus, calls of 32 KiB and answers: " + way.name, Messages: 2 * total}
			before := report.CPU(t)
			way.run(t, callee, caller, &row)
			row.CPU = report.CPU(t) - before
			for _, s := range []*Side{callee, caller} {
				require.NoError(t, s.Err())
				require.Equal(t, total, s.Sent())
				require.Equal(t, total, s.Received())
			}
			row.Wake, row.Lost = caller.Took(), caller.Sent()-caller.Received()+callee.Sent()-callee.Received()
			row.Write(t)
		})
	}
}

func byGroup(t *testing.T, callee, caller *Side, row *report.Row) {
	threads, goroutines := report.Threads(t), runtime.NumGoroutine()
	g := chanadapter.NewGroup()
	defer g.Close()
	require.NoError(t, callee.ByGroup(g))
	require.NoError(t, caller.ByGroup(g))
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("messages wait, and no token comes"))
	defer cancel()
	for caller.Received() < row.Messages/2 {
		require.NoError(t, caller.Call(g))
		select {
		case <-g.C():
			row.Wakeups++
			for w, e := range g.Ready() {
				require.NoError(t, Found(g, w, e))
			}
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx), "%d calls, %d answers", callee.Received(), caller.Received())
		}
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+4, "a goroutine a watch?")
	require.LessOrEqual(t, report.Threads(t), threads+6, "a thread a watch?")
	row.Threads = fmt.Sprint(report.Threads(t))
	require.NotZero(t, caller.Full(), "the socket always had room: this tests nothing")
}
