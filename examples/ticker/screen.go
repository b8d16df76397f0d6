package main

// This file holds what is printed while the threads tick: one live line on a
// terminal, plain lines elsewhere.

import (
	"fmt"
	"io"
	"os"
	"time"
)

type screen struct {
	out     io.Writer
	live    bool
	tickers []*ticker
	began   time.Time
	drawn   time.Time // the live line's last time
	width   int       // and length
	sent    uint64    // the first ticker's ticks when it last woke up
	latency time.Duration
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, began: time.Now()}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.live = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return s
}

func (s *screen) begin(tickers []*ticker) {
	s.tickers = tickers
	t := tickers[0]
	ticks := fmt.Sprintf("%d ticks %v apart", t.count, t.interval)
	if t.count == endless {
		ticks = fmt.Sprintf("ticks %v apart until Ctrl-C", t.interval)
	}
	fmt.Fprintf(s.out, "%s by a %s", ticks, t.by)
	if len(tickers) > 1 {
		fmt.Fprintf(s.out, "; %d of them", len(tickers))
	}
	fmt.Fprintln(s.out)
}

// wakeUp shows a wake-up of the first ticker, the sent'th tick being the last.
func (s *screen) wakeUp(sent uint64, latency time.Duration) {
	if latency == 0 {
		return
	}
	coalesced := sent - s.sent - 1
	s.sent, s.latency = sent, latency
	switch {
	case s.live:
		if time.Since(s.drawn) >= 30*time.Millisecond {
			s.draw()
		}
	case len(s.tickers) > 1: // a line for each would be too many
	case coalesced > 0:
		fmt.Fprintf(s.out, "tick %d, woken after %v, with %d coalesced\n", sent, short(latency), coalesced)
	default:
		fmt.Fprintf(s.out, "tick %d, woken after %v\n", sent, short(latency))
	}
}

// second shows that another second has passed: the same select waits for that.
func (s *screen) second() {
	if s.live {
		s.draw()
		return
	}
	fmt.Fprintln(s.out, s.state())
}

func (s *screen) state() string {
	var sent, woken uint64
	for _, t := range s.tickers {
		sent += t.sent.Load()
		woken += t.woken.Load()
	}
	return fmt.Sprintf("%.1f s: %d ticks, %d wake-ups", time.Since(s.began).Seconds(), sent, woken)
}

// draw writes over the last live line. Blanks and no escape sequence clear what
// was longer: that works on every console.
func (s *screen) draw() {
	s.drawn = time.Now()
	line := fmt.Sprintf("%s, the last after %v", s.state(), short(s.latency))
	fmt.Fprintf(s.out, "\r%-*s", s.width, line)
	s.width = len(line)
}

func (s *screen) end() {
	if s.live {
		s.draw()
		fmt.Fprintln(s.out)
	}
}
