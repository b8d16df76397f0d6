//go:build gc && linux && (amd64 || arm64) && !wakechan_fakelibc

package notifier

// Tests of one system hold only what that system alone does. Here each system call of the
// C functions fails in turn, in each way that they tell apart, and so does that of
// notifier.h.

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func TestCallbackCallsFail(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "notifier.h is what they are compared with")
	}
	testenv.FailCalls(t, func(c *testenv.Calls) {
		header, function := newLoneBlock(t, byHeader), newLoneBlock(t, byFunction(t))
		codes := map[int]int{}
		failed := 0
		for bell, kind := range []uint32{kindEventFD, kindPipe} {
			for _, full := range []bool{false, true} {
				for _, number := range []int{unix.SYS_WRITE, unix.SYS_READ} {
					for n := 1; n <= 3; n++ {
						for _, errno := range []syscall.Errno{unix.EINTR, unix.EAGAIN, unix.EPERM} {
							s := &blockState{magic: blockMagic, abi: abiVersion, kind: kind, asleep: 7, bell: bell, full: full,
								index: 4711, named: 1, present: 1, base: true}
							results := [2]int{}
							afters := [2]after{}
							calls := [2]int{}
							for i, w := range []*loneBlock{header, function} {
								w.put(s)
								h := w.handle(s.index, s.named)
								calls[i] = c.FailAnywhere(n, number, errno, func() { results[i] = w.notify(h) })
								afters[i] = w.after(s)
							}
							require.Equal(t, results[0], results[1], "call %d of number %d: %v, kind %d, full %v", n, number, errno, kind, full)
							require.Equal(t, afters[0], afters[1], "call %d of number %d: %v, kind %d, full %v", n, number, errno, kind, full)
							require.Equal(t, calls[0], calls[1])
							if calls[0] >= 0 {
								failed++
							}
							codes[results[0]]++
						}
					}
				}
			}
		}
		t.Logf("%d calls failed, codes %v", failed, codes)
		require.Greater(t, failed, 10)
		require.NotZero(t, codes[0])
		require.NotZero(t, codes[-3])
	})
}
