//go:build e2e && linux

package pq

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/postgres"
	"github.com/wakechan/wakechan/internal/testenv"
)

var cluster *postgres.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = postgres.Start(); err != nil && !errors.Is(err, postgres.ErrMissing) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if cluster != nil {
		cluster.Stop()
	}
	os.Exit(code)
}

// info is where the server is. Before it there are two addresses that refuse, so that
// libpq opens another socket while it connects, whose number may be the same.
func info(t *testing.T) string {
	t.Helper()
	if cluster == nil {
		testenv.Missing(t, "postgres", postgres.ErrMissing.Error())
	}
	return fmt.Sprintf("host=127.0.0.1,127.0.0.1,%s port=1,2,5432 user=postgres dbname=postgres gssencmode=disable", cluster.Dir())
}

// drive has one goroutine serve all connections, until done.
func drive(t *testing.T, g *chanadapter.Group, done func() bool) (wakeups int) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("the server waits, and no token comes"))
	defer cancel()
	for !done() {
		select {
		case <-g.C():
			wakeups++
			for w := range g.Ready() {
				require.NoError(t, w.Value().(*Conn).Found(g))
			}
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		}
	}
	return wakeups
}

// connect connects count times at once, and has each do query.
func connect(t *testing.T, g *chanadapter.Group, count, wanted int, query string) []*Conn {
	t.Helper()
	all := make([]*Conn, count)
	for i := range all {
		c, err := Begin(info(t), wanted)
		require.NoError(t, err)
		c.query = query
		all[i] = c
		t.Cleanup(c.Close)
		require.NoError(t, c.Connect(g, true))
	}
	return all
}

func every(all []*Conn, is func(*Conn) bool) func() bool {
	return func() bool {
		for _, c := range all {
			if !is(c) {
				return false
			}
		}
		return true
	}
}

func idle(c *Conn) bool { return c.connected && !c.busy }

// TestNotifications has ten connections that LISTEN, and a thread that notifies. Each
// gets each notification, in order. Threads and goroutines do not grow with the
// connections.
func TestNotifications(t *testing.T) {
	const batch = 100
	batches := 200
	if testing.Short() {
		batches = 20
	}
	total := batches * batch
	for _, way := range []struct {
		name string
		run  func(t *testing.T, g *chanadapter.Group, all []*Conn, row *report.Row)
	}{
		{"Group", func(t *testing.T, g *chanadapter.Group, all []*Conn, row *report.Row) {
			row.Wakeups = drive(t, g, every(all, (*Conn).Complete))
			row.Threads = fmt.Sprint(report.Threads(t))
		}},
		{"poll(2)", func(t *testing.T, _ *chanadapter.Group, all []*Conn, row *report.Row) {
			row.Threads = fmt.Sprint(report.Threads(t))
			require.NoError(t, ByPoll(all))
		}},
		{"a thread each", func(t *testing.T, _ *chanadapter.Group, all []*Conn, row *report.Row) {
			require.NoError(t, ByThreads(all, func() { row.Threads = fmt.Sprint(report.Threads(t)) }))
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			g := chanadapter.NewGroup()
			defer g.Close()
			threads, goroutines := report.Threads(t), runtime.NumGoroutine()
			all := connect(t, g, 10, total, "listen news")
			drive(t, g, every(all, idle))
			require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+2, "a goroutine a connection?")
			require.LessOrEqual(t, report.Threads(t), threads+6, "a thread a connection?")

			row := report.Row{Source: "libpq, 10 connections that LISTEN: " + way.name, Messages: total * len(all)}
			before := report.CPU(t)
			sender, err := Notify(info(t), batches, batch, time.Millisecond)
			require.NoError(t, err)
			way.run(t, g, all, &row)
			require.NoError(t, sender.Wait())
			row.CPU = report.CPU(t) - before
			row.Lost = row.Messages
			for _, c := range all {
				require.Equal(t, total, c.Got())
				row.Lost -= c.Got()
				row.Wake = append(row.Wake, c.Took()...)
			}
			row.Write(t)
		})
	}
}

// TestBigResult has four connections ask for 20 MiB each, at once, and looks at each
// byte.
func TestBigResult(t *testing.T) {
	const rows = 20 << 10
	g := chanadapter.NewGroup()
	defer g.Close()
	row := report.Row{Source: "libpq, 4 results of 20 MiB: Group", Messages: 4 * rows}
	before := report.CPU(t)
	all := connect(t, g, 4, 0, fmt.Sprintf("select i, repeat(chr(97 + i %% 26), 1024) from generate_series(0, %d) i", rows-1))
	row.Wakeups = drive(t, g, every(all, idle))
	row.CPU = report.CPU(t) - before
	row.Threads = fmt.Sprint(report.Threads(t))
	row.Lost = row.Messages
	for _, c := range all {
		require.Equal(t, rows, c.Rows())
		require.Equal(t, 20<<20, c.Bytes())
		row.Lost -= c.Rows()
	}
	row.Write(t)
}

// TestBigQuery sends 8 MiB, for which the socket has no room at once: libpq has to be
// told of room and of input both.
func TestBigQuery(t *testing.T) {
	g := chanadapter.NewGroup()
	defer g.Close()
	const size = 8 << 20
	text := make([]byte, size)
	for i := range text {
		text[i] = 'a'
	}
	all := connect(t, g, 2, 0, fmt.Sprintf("select 0, '%s'", text))
	unsent := false
	drive(t, g, func() bool {
		unsent = unsent || all[0].unsent
		return every(all, idle)()
	})
	for _, c := range all {
		require.Equal(t, size, c.Bytes())
	}
	require.True(t, unsent, "it went out at once: this tests nothing")
}
