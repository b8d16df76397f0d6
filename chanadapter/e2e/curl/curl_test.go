//go:build e2e && linux

package curl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// block is what bodies are made of, the same in the server and in the client.
var block = func() []byte {
	b := make([]byte, blockSize)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}()

const serverVariable = "WAKECHAN_CURL_SERVER"

// TestMain is the server too, in a process of its own: what is measured is the client.
func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// serve answers /n with n bytes, until its input ends.
func serve() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		for n > 0 {
			part := block[:min(n, len(block))]
			if _, err := w.Write(part); err != nil {
				return
			}
			n -= len(part)
		}
	})
	quiet := log.New(io.Discard, "", 0)
	plain, secure := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	plain.Config.ErrorLog, secure.Config.ErrorLog = quiet, quiet
	plain.Start()
	secure.StartTLS()
	fmt.Printf("%s %s\n", plain.URL, secure.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// server starts one, and returns its addresses.
func server(t testing.TB) (plain, secure string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := exec.CommandContext(ctx, os.Args[0])
	s.Env = append(os.Environ(), serverVariable+"=1")
	s.Stderr = os.Stderr
	in, err := s.StdinPipe()
	require.NoError(t, err)
	out, err := s.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.Start())
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		_ = s.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, err = fmt.Sscan(line, &plain, &secure)
	require.NoError(t, err)
	return plain, secure
}

type driver struct {
	name string
	run  func(ctx context.Context, c *Client, each func()) error
}

var (
	byGroup      = driver{"Group", ByGroup}
	byEpoll      = driver{"an epoll set of its own", ByEpoll}
	byReflect    = driver{"reflect.Select", ByReflect}
	byGoroutines = driver{"a goroutine a Watcher", ByGoroutines}
)

type load struct {
	url             string
	parallel, total int
	size            int64
	fresh           bool
}

// outcome is what a driver did with a load.
type outcome struct {
	row        report.Row
	cpu        time.Duration
	goroutines int // the most that there were
}

// try has d do l, and checks that each byte arrived.
func try(t *testing.T, d driver, l load) outcome {
	t.Helper()
	c := NewClient(fmt.Sprint(l.url, "/", l.size), block, l.parallel, l.total, l.size, l.fresh)
	defer c.Close()
	c.BySockets()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("transfers wait, and no token comes"))
	defer cancel()
	o := outcome{row: report.Row{Messages: l.total}}
	before := report.CPU(t)
	err := d.run(ctx, c, func() {
		o.row.Wakeups++
		if o.row.Wakeups%16 == 1 {
			o.goroutines = max(o.goroutines, runtime.NumGoroutine())
		}
	})
	o.cpu = report.CPU(t) - before
	o.finish(t, c, l, err)
	return o
}

func (o *outcome) finish(t *testing.T, c *Client, l load, err error) {
	t.Helper()
	require.NoError(t, err, "%d of %d transfers done", c.Done, l.total)
	require.Empty(t, c.Failed)
	require.Equal(t, l.total, c.Done)
	require.Equal(t, l.size*int64(l.total), c.Bytes, "received what was sent")
	o.row.CPU, o.row.Lost, o.row.Wake = o.cpu, l.total-c.Done, c.Took
	if o.row.Threads == "" {
		o.row.Threads = fmt.Sprint(report.Threads(t))
	}
}

// TestTransfers has 200 transfers under way at a time, over HTTP and TLS, some with a
// connection each, so that sockets come and go and their numbers are used again. All
// bytes arrive, and neither threads nor goroutines grow with the sockets.
func TestTransfers(t *testing.T) {
	plain, secure := server(t)
	total := 6000
	if testing.Short() {
		total = 1000
	}
	for _, l := range []struct {
		name string
		load
	}{
		{"HTTP", load{plain, 200, total, 50_000, false}},
		{"HTTP, each its own connection", load{plain, 200, total / 2, 5_000, true}},
		{"TLS", load{secure, 200, total, 50_000, false}},
		{"TLS, each its own connection", load{secure, 200, total / 6, 5_000, true}},
	} {
		t.Run(l.name, func(t *testing.T) {
			threads, goroutines := report.Threads(t), runtime.NumGoroutine()
			o := try(t, byGroup, l.load)
			require.LessOrEqual(t, o.goroutines, goroutines+8, "a goroutine for each socket?")
			require.LessOrEqual(t, report.Threads(t), threads+8, "a thread for each socket?")
			o.row.Source = "libcurl, 200 transfers over " + l.name
			o.row.Write(t)
		})
	}
}

// needMeasuring ends a test that only measures, for minutes.
func needMeasuring(t *testing.T) {
	t.Helper()
	if os.Getenv("WAKECHAN_MEASURE") == "" {
		t.Skip("it measures: WAKECHAN_MEASURE=1 says to")
	}
}

// TestWays compares the Group with what one would write without it, in one run, in
// turns.
func TestWays(t *testing.T) {
	needMeasuring(t)
	plain, secure := server(t)
	for _, l := range []struct {
		name string
		load
	}{
		{"HTTP, 200 at a time", load{plain, 200, 4000, 50_000, false}},
		{"HTTP, 900 at a time", load{plain, 900, 9000, 50_000, false}},
		{"TLS, 200 at a time", load{secure, 200, 2000, 50_000, false}},
	} {
		t.Run(l.name, func(t *testing.T) {
			drivers := []driver{byGroup, byEpoll, byReflect, byGoroutines}
			const rounds = 5
			cpu := make([][]time.Duration, len(drivers))
			last := make([]outcome, len(drivers))
			for round := range rounds {
				for i := range drivers {
					i = (i + round) % len(drivers)
					last[i] = try(t, drivers[i], l.load)
					cpu[i] = append(cpu[i], last[i].cpu)
				}
			}
			for i, d := range drivers {
				last[i].row.Source = fmt.Sprintf("libcurl, %s: %s", l.name, d.name)
				last[i].row.CPU = median(cpu[i])
				last[i].row.Write(t)
			}
			for i, d := range drivers[1:] {
				ratios := make([]float64, rounds)
				for round := range ratios {
					ratios[round] = float64(cpu[0][round]) / float64(cpu[i+1][round])
				}
				t.Logf("CPU of the Group, in that of %s: %.2f (%.2f to %.2f)", d.name,
					median(ratios), slices.Min(ratios), slices.Max(ratios))
			}
			ownLoop(t, l.name, l.load)
			threadEach(t, l.name, l.load)
		})
	}
}

// TestBesideEpoll compares the Group with an epoll set of its own more closely, in
// short turns: the two differ by less than what a busy machine adds to either.
func TestBesideEpoll(t *testing.T) {
	needMeasuring(t)
	plain, _ := server(t)
	l := load{plain, 900, 2700, 50_000, false}
	var group, epoll time.Duration
	ratios := make([]float64, 20)
	for i := range ratios {
		var g, e outcome
		if i%2 == 0 {
			g, e = try(t, byGroup, l), try(t, byEpoll, l)
		} else {
			e, g = try(t, byEpoll, l), try(t, byGroup, l)
		}
		group, epoll = group+g.cpu, epoll+e.cpu
		ratios[i] = float64(g.cpu) / float64(e.cpu)
	}
	slices.Sort(ratios)
	t.Logf("CPU of the Group, in that of an epoll set of its own, 900 at a time: %.2f; of single turns: median %.2f, quartiles %.2f and %.2f",
		float64(group)/float64(epoll), median(ratios), ratios[len(ratios)/4], ratios[len(ratios)*3/4])
}

// ownLoop is libcurl's: curl_multi_poll in a thread.
func ownLoop(t *testing.T, name string, l load) {
	c := NewClient(fmt.Sprint(l.url, "/", l.size), block, l.parallel, l.total, l.size, l.fresh)
	defer c.Close()
	before := report.CPU(t)
	err := c.Begin()
	if err == nil {
		err = c.OwnLoop()
	}
	o := outcome{cpu: report.CPU(t) - before, row: report.Row{Source: fmt.Sprintf("libcurl, %s: curl_multi_poll", name), Messages: l.total}}
	o.finish(t, c, l, err)
	o.row.Write(t)
}

func threadEach(t *testing.T, name string, l load) {
	c := NewClient(fmt.Sprint(l.url, "/", l.size), block, l.parallel, l.total, l.size, l.fresh)
	defer c.Close()
	o := outcome{row: report.Row{Source: fmt.Sprintf("libcurl, %s: a thread each", name), Messages: l.total}}
	before := report.CPU(t)
	c.ThreadEach(func() { o.row.Threads = fmt.Sprint(report.Threads(t)) })
	o.cpu = report.CPU(t) - before
	l.total = l.total / l.parallel * l.parallel
	o.finish(t, c, l, nil)
	o.row.Write(t)
}

func median[T int | float64 | time.Duration](all []T) T {
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
