package bubble

import (
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestIn(t *testing.T) {
	if In() {
		t.Error("outside: In() = true")
	}
	synctest.Test(t, func(t *testing.T) {
		if !In() {
			t.Error("inside: In() = false")
		}
		time.Sleep(50 * 365 * 24 * time.Hour) // the bubble's clock: no time passes
		if !In() {
			t.Error("inside, later: In() = false")
		}
		done := make(chan bool)
		go func() { done <- In() }()
		if !<-done {
			t.Error("a bubble's goroutine: In() = false")
		}
	})
	if In() {
		t.Error("after: In() = true")
	}
}
