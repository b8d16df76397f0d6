//go:build e2e && linux

package mosquitto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// broker is one at a time, always on the same port.
type broker struct {
	program, conf string
	port          int
	cmd           *exec.Cmd
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{program: "/usr/sbin/mosquitto"} // Debian's, which need not be in PATH
	if path, err := exec.LookPath("mosquitto"); err == nil {
		b.program = path
	} else if _, err := os.Stat(b.program); err != nil {
		testenv.Missing(t, "mosquitto", err.Error())
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	b.port = l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	b.conf = filepath.Join(t.TempDir(), "mosquitto.conf")
	// As itself, and without a limit to what waits for a slow subscriber.
	require.NoError(t, os.WriteFile(b.conf, fmt.Appendf(nil,
		"listener %d 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n", b.port), 0o644))
	t.Cleanup(b.kill)
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.cmd = exec.Command(b.program, "-c", b.conf)
	require.NoError(t, b.cmd.Start())
}

func (b *broker) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// crowd is ten subscribers and a publisher, served by one goroutine.
type crowd struct {
	g       *chanadapter.Group
	b       *broker
	all     []*Client
	wakeups int
}

func (c *crowd) publisher() *Client     { return c.all[0] }
func (c *crowd) subscribers() []*Client { return c.all[1:] }

// drive serves all until done. Who has no connection tries to get one.
func (c *crowd) drive(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("the broker waits, and no token comes"))
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	misc := time.NewTicker(time.Second)
	defer misc.Stop()
	for !done() {
		select {
		case <-c.g.C():
			c.wakeups++
			for w, e := range c.g.Ready() {
				require.NoError(t, w.Value().(*Client).Found(c.g, e))
			}
		case <-again.C:
			for _, x := range c.all {
				if !x.Up() {
					require.NoError(t, x.Connect(c.g, c.b.port))
				}
			}
		case <-misc.C:
			for _, x := range c.all {
				require.NoError(t, x.Misc(c.g))
			}
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		}
	}
}

func (c *crowd) every(is func(*Client) bool) func() bool {
	return func() bool {
		for _, x := range c.all {
			if !is(x) {
				return false
			}
		}
		return true
	}
}

const subscribers, size = 10, 600

func newCrowd(t *testing.T, total int) *crowd {
	c := &crowd{g: chanadapter.NewGroup(), b: newBroker(t)}
	t.Cleanup(func() { _ = c.g.Close() })
	for i := range subscribers + 1 {
		x := NewClient(i > 0, total)
		t.Cleanup(x.Close)
		c.all = append(c.all, x)
	}
	return c
}

// TestRestartedBroker publishes to ten subscribers, and kills the broker and starts
// another after each thousand: all notice, connect again, with sockets that have the
// numbers of the last ones, and subscribe again.
func TestRestartedBroker(t *testing.T) {
	const each = 1000
	restarts := 10
	if testing.Short() {
		restarts = 3
	}
	total := each * restarts
	c := newCrowd(t, total)
	threads, goroutines := report.Threads(t), runtime.NumGoroutine()
	row := report.Row{Source: fmt.Sprintf("libmosquitto, 10 subscribers, %d brokers: Group", restarts), Messages: total * subscribers}
	before := report.CPU(t)
	for round := range restarts {
		c.b.start(t)
		c.drive(t, c.every((*Client).Ready))
		for i := range each {
			require.NoError(t, c.publisher().Publish(c.g, round*each+i, size))
		}
		c.drive(t, c.every(func(x *Client) bool { return x.Got() == (round+1)*each }))
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+6, "a goroutine a client?")
		require.LessOrEqual(t, report.Threads(t), threads+8, "a thread a client?")
		c.b.kill()
		c.drive(t, c.every(func(x *Client) bool { return !x.Up() }))
	}
	row.CPU = report.CPU(t) - before
	c.write(t, row)
}

// write checks that all came, and in order.
func (c *crowd) write(t *testing.T, row report.Row) {
	t.Helper()
	row.Lost, row.Wakeups = row.Messages, c.wakeups
	for _, x := range c.subscribers() {
		row.Lost -= x.Got()
		row.Wake = append(row.Wake, x.Took()...)
	}
	require.Zero(t, row.Lost)
	require.Equal(t, row.Messages/subscribers, c.publisher().Got(), "each was acknowledged")
	if row.Threads == "" {
		row.Threads = fmt.Sprint(report.Threads(t))
	}
	row.Write(t)
}

// TestWays compares the Group with libmosquitto's own loop, which is a thread each.
func TestWays(t *testing.T) {
	total := 10_000
	if testing.Short() {
		total = 1_000
	}
	t.Run("Group", func(t *testing.T) {
		c := newCrowd(t, total)
		c.b.start(t)
		c.drive(t, c.every((*Client).Ready))
		c.wakeups = 0
		before := report.CPU(t)
		row := report.Row{Source: "libmosquitto, 10 subscribers: Group", Messages: total * subscribers}
		for i := range total {
			require.NoError(t, c.publisher().Publish(c.g, i, size))
		}
		c.drive(t, c.every(func(x *Client) bool { return x.Got() == total }))
		row.CPU = report.CPU(t) - before
		c.write(t, row)
	})
	t.Run("a thread each", func(t *testing.T) {
		c := newCrowd(t, total)
		c.b.start(t)
		awaitTCP(t, c.b.port)
		for _, x := range c.all {
			require.NoError(t, x.StartThread(c.b.port))
		}
		until(t, c.every((*Client).Ready))
		before := report.CPU(t)
		row := report.Row{Source: "libmosquitto, 10 subscribers: mosquitto_loop_start, a thread each", Messages: total * subscribers,
			Threads: fmt.Sprint(report.Threads(t))}
		for i := range total {
			require.NoError(t, c.publisher().Publish(nil, i, size))
		}
		until(t, c.every(func(x *Client) bool { return x.Got() == total }))
		row.CPU = report.CPU(t) - before
		for _, x := range c.all {
			x.StopThread()
		}
		c.write(t, row)
	})
}

// until looks again and again, since nobody tells.
func until(t *testing.T, done func() bool) {
	t.Helper()
	end := time.Now().Add(6 * testenv.Patience())
	for !done() {
		require.True(t, time.Now().Before(end), "messages are missing")
		time.Sleep(time.Millisecond)
	}
}

func awaitTCP(t *testing.T, port int) {
	t.Helper()
	until(t, func() bool {
		c, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
