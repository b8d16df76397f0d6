//go:build linux || darwin || freebsd || dragonfly || netbsd || openbsd || windows

package chanadapter

// This file holds how tests close descriptors and handles: once each. A number that
// was closed is given out again at once, to the Go runtime too, which does not
// survive that somebody closes a thread's handle or event.

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// owned has what tests made and have not closed. What they have closed would not
// do: the same number may be made and closed several times in a test.
var owned sync.Map

// own has n closed when the test is over, if closeEarly has not done it.
func own(t testing.TB, n number) {
	owned.Store(n, true)
	t.Cleanup(func() { closeOnce(n) })
}

func closeOnce(n number) {
	if _, ours := owned.LoadAndDelete(n); ours {
		_ = closeNumber(n)
	}
}

func closeEarly(t testing.TB, n number) {
	t.Helper()
	owned.Delete(n)
	require.NoError(t, closeNumber(n))
}

// openAgain opens until something has the number n, if nobody else has got it: a thread of
// the runtime may.
func openAgain(t testing.TB, n number) bool {
	for range 100 {
		other := open(t)
		if other == n {
			return true
		}
		defer closeNumber(other)
	}
	return false
}

// TestCleaningUpClosesOnlyItsOwn: what somebody else opens gets a number that a test
// has closed before, several times.
func TestCleaningUpClosesOnlyItsOwn(t *testing.T) {
	for range 100 {
		var theirs number
		found := true
		t.Run("a test", func(t *testing.T) {
			theirs = open(t)
			for range 3 {
				own(t, theirs)
				closeEarly(t, theirs)
				if found = openAgain(t, theirs); !found {
					return
				}
			}
		})
		if found {
			require.NoError(t, closeNumber(theirs), "somebody closed it")
			return
		}
	}
	t.Fatal("a number that was closed is never given out again")
}
