package notifier

// Tests of one system hold only what that system alone does. This file holds storms:
// 64 threads, signals from a timer, and a process that is stopped and continued meanwhile.

import (
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// However many notify, and whatever happens to the process meanwhile, each notification
// arrives, and all of them leave one token.
func TestStormOf64Threads(t *testing.T) {
	stormy(t, func(t *testing.T, p *Poller, name string) {
		for _, stopped := range []bool{false, true} {
			list, _ := notifiers(t, p, 10)
			each := testenv.Times(5000)
			storm := storms[name](list, 64, each)
			defer storm.Close()
			if stopped {
				if out, err := exec.Command("sh", "-c", "for i in 1 2 3 4 5; do kill -STOP $PPID; kill -CONT $PPID; done").CombinedOutput(); err != nil {
					testenv.Missing(t, "sh", string(out))
				}
			}
			results := storm.Wait()
			assert.EqualValues(t, 64*each, results.Total())
			assert.EqualValues(t, 64*each, results.Arrived(), "%+v", results)
			assert.Zero(t, results.Changed)
			settle(t, p)
			for i, n := range list {
				assert.Equal(t, storm.Published(i) > 0, len(n.C()) == 1, "notifier %d", i)
				assert.False(t, isSet(n))
				require.NoError(t, n.Err())
			}
		}
	})
}

// A timer of 100 microseconds sends signals whose handler notifies, on top of threads that
// notify the same.
func TestSignalsFromATimer(t *testing.T) {
	if !foreign.SignalsAvailable {
		testenv.Missing(t, "cgo", "built without")
	}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the timer's arguments are written down for these two")
	}
	p := newPoller(t)
	list, handles := notifiers(t, p, 2)
	undo := foreign.Handle(uint64(handles[0]))
	event := struct { // sigevent(3type): SIGEV_SIGNAL is 0
		value          uint64
		signal, notify int32
		_              [48]byte
	}{signal: int32(foreign.Signal)}
	var timer int32
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&timer)))
	require.Zero(t, errno)
	each := unix.Timespec{Nsec: 100_000}
	spec := unix.ItimerSpec{Interval: each, Value: each}
	_, _, errno = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	require.Zero(t, errno)
	crowd := foreign.Storm(numbers(list), 2, 0, false)
	defer crowd.Close()
	enough := uint64(testenv.Times(3000))
	reached := waited(func() bool {
		select {
		case <-list[0].C():
		default:
		}
		return foreign.Handled().Total() >= enough
	})
	_, _, errno = unix.Syscall(unix.SYS_TIMER_DELETE, uintptr(timer), 0, 0)
	require.Zero(t, errno)
	crowd.Stop()
	results := crowd.Wait()
	wait(t, "the last handler", func() bool {
		h := foreign.Handled()
		return h.Total() == h.Arrived()
	})
	handled := undo()
	require.True(t, reached, "%+v", handled)
	assert.Zero(t, handled.Changed, "errno")
	assert.Equal(t, results.Total(), results.Arrived(), "%+v", results)
	assert.Zero(t, results.Changed)

	settle(t, p)
	list[0].Clear()
	require.NoError(t, handles[0].Notify())
	receive(t, list[0])
}
