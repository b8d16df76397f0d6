package selftest

// This file holds what Go's runtime and package os need.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestParallel(t *testing.T) {
	for i := 0; i < 20; i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			d := time.Duration(i) * 5 * time.Millisecond
			s := time.Now()
			time.Sleep(d)
			if e := time.Since(s); e < d {
				t.Errorf("slept %v want %v", e, d)
			}
		})
	}
}
func TestPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	msg := bytes.Repeat([]byte("0123456789"), 100000)
	go func() { w.Write(msg); w.Close() }()
	b, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(b, msg) {
		t.Fatal(err, len(b))
	}
}
func TestPipeDeadline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Skip(err)
	}
	s := time.Now()
	_, err = r.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if time.Since(s) < 40*time.Millisecond {
		t.Fatal("early")
	}
}
func TestPipeCloseWakesReader(t *testing.T) {
	r, w, _ := os.Pipe()
	defer w.Close()
	done := make(chan error)
	go func() { _, e := r.Read(make([]byte, 1)); done <- e }()
	time.Sleep(20 * time.Millisecond)
	r.Close()
	select {
	case e := <-done:
		if !errors.Is(e, os.ErrClosed) {
			t.Fatal(e)
		}
	case <-time.After(testenv.Patience()):
		t.Fatal("stuck")
	}
}
func TestTimers(t *testing.T) {
	tk := time.NewTicker(5 * time.Millisecond)
	defer tk.Stop()
	s := time.Now()
	for i := 0; i < 20; i++ {
		<-tk.C
	}
	if e := time.Since(s); e < 90*time.Millisecond {
		t.Fatal(e)
	}
	ctx, c := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer c()
	<-ctx.Done()
}
func TestNilDeref(t *testing.T) {
	defer func() {
		r := recover()
		if r == nil {
			t.Fatal("no panic")
		}
		t.Log(r)
	}()
	var p *struct{ a [100]int }
	_ = p.a[3]
}
func TestDivZero(t *testing.T) {
	defer func() {
		r := recover()
		if r == nil {
			t.Fatal("no panic")
		}
		t.Log(r)
	}()
	z := 0
	_ = 1 / z
}
func TestPreempt(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	var stop, done atomic.Bool
	// A loop without calls: only asynchronous preemption (SIGURG) gets the processor back.
	go func() {
		for !stop.Load() {
		}
		done.Store(true)
	}()
	time.Sleep(50 * time.Millisecond)
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	stop.Store(true)
	for !done.Load() {
		time.Sleep(time.Millisecond)
	}
}
func TestGCStress(t *testing.T) {
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m := map[int][]byte{}
			for i := 0; i < 20000; i++ {
				m[i%500] = make([]byte, i%2000)
				if i%5000 == 0 {
					runtime.GC()
				}
			}
		}()
	}
	wg.Wait()
}
func TestExecSelf(t *testing.T) {
	if os.Getenv("CHILD") == "1" {
		fmt.Println("child", len(os.Args))
		os.Exit(7)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-test.run=TestExecSelf", "-test.v")
	c.Env = append(os.Environ(), "CHILD=1")
	out, err := c.CombinedOutput()
	var ee *exec.ExitError
	if !errors.As(err, &ee) || ee.ExitCode() != 7 {
		t.Fatal(err, string(out))
	}
	t.Logf("%s", out)
	out, err = exec.Command("/bin/echo", "hi").Output()
	if err != nil || string(out) != "hi\n" {
		t.Fatal(err, string(out))
	}
	c = exec.Command("sleep", "10")
	c.Start()
	c.Process.Signal(syscall.SIGUSR1)
	err = c.Wait()
	t.Log(err)
	if ws := c.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGUSR1 {
		t.Fatal(ws)
	}
}
func TestErrnos(t *testing.T) {
	_, err := os.Open("/nonexistent")
	if !errors.Is(err, syscall.ENOENT) || err.Error() != "open /nonexistent: no such file or directory" {
		t.Fatal(err)
	}
	d := t.TempDir()
	os.MkdirAll(d+"/a/b", 0777)
	err = syscall.Rmdir(d + "/a")
	if err != syscall.ENOTEMPTY {
		t.Fatal(err)
	}
	es, err := os.ReadDir(d + "/a")
	if err != nil || len(es) != 1 || es[0].Name() != "b" || !es[0].IsDir() {
		t.Fatal(es, err)
	}
	os.WriteFile(d+"/f", []byte("xyz"), 0640)
	st, err := os.Stat(d + "/f")
	if err != nil || st.Size() != 3 || st.Mode() != 0640 {
		t.Fatal(st, err)
	}
	var s syscall.Stat_t
	syscall.Stat(d+"/f", &s)
	t.Log(s.Uid, s.Nlink)
}
func TestManyThreads(t *testing.T) {
	var wg sync.WaitGroup
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread()
			if i%2 == 0 {
				defer runtime.UnlockOSThread()
			}
			time.Sleep(10 * time.Millisecond)
		}()
	}
	wg.Wait()
}
func TestPanicTrace(t *testing.T) {
	if os.Getenv("BOOM") != "" {
		var p *int
		*p = 1
	}
}
