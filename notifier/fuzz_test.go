package notifier

// This file holds fuzzing: operations in any order, compared with a model that
// is simple enough to be right, and any scribbling over the shared memory.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// world is what a notifier may look like: whether there is a token, and whether
// its ready bit is set. The poller turns the latter into the former whenever it
// likes, so a notifier may be in one of several.
type world struct{ token, bit bool }

// modelled is a notifier with all the worlds that it may be in.
type modelled struct {
	n      *Notifier
	alone  bool   // of New: it is not asked for a handle, and no poller closes it
	handle Handle // 0 until taken
	closed bool
	worlds map[world]bool
}

// apply replaces each world by what f makes of it; f returns false for one that
// what was seen rules out.
func (m *modelled) apply(t *testing.T, what string, f func(w world) (world, bool)) {
	next := map[world]bool{}
	for w := range m.withPoller() {
		if w, ok := f(w); ok {
			next[w] = true
		}
	}
	if len(next) == 0 {
		t.Fatalf("%s cannot be, after %v", what, m.worlds)
	}
	m.worlds = next
}

// withPoller returns the worlds that the poller may have made of the present ones.
func (m *modelled) withPoller() map[world]bool {
	all := map[world]bool{}
	for w := range m.worlds {
		all[w] = true
		if w.bit && !m.closed {
			all[world{token: true}] = true
		}
	}
	return all
}

// check compares an operation's error with the model's.
func (m *modelled) check(t *testing.T, what string, err error) {
	if m.closed != errors.Is(err, ErrClosed) || !m.closed && err != nil {
		t.Fatalf("%s of a notifier (closed: %v): %v", what, m.closed, err)
	}
}

// FuzzOperations takes each byte for an operation, on a notifier that it names
// too, and compares each answer with the model.
func FuzzOperations(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x10\x20\x30", "notify, wait, clear, close",
		"\x00\x02\x01\x03\x04\x02\x05\x06\x02\x02\x04\x07\x08\x09",
		"\x00\x02\x02\x0b\x04\x04\x00\x12\x12\x14\x1b\x14\x17\x12\x13\x14\x15",
		"\x00\x02\x0a\x00\x10\x20\x02\x12\x22\x0b\x0a\x02\x12\x22\x04\x14\x24",
		"\x00\x01\x03\x02\x03\x05\x01\x02\x04\x04\x0b\x04\x06\x01\x0b\x04\x07\x01\x02\x04\x04\x0c",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, operations []byte) {
		p, _ := fakePoller(t)
		var all []*modelled
		create := func(n *Notifier, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = n.Close() })
			all = append(all, &modelled{n: n, worlds: map[world]bool{{}: true}})
		}
		create(p.New())
		done, cancel := context.WithCancel(context.Background())
		cancel()

		for at, b := range operations {
			m := all[int(b>>4)%len(all)]
			what := fmt.Sprintf("operation %d, %#x", at, b)
			switch b & 15 {
			case 0: // another notifier of the poller
				if len(all) < 16 {
					create(p.New())
				}
			case 1: // Notify
				m.check(t, what, m.n.Notify())
				if !m.closed {
					m.apply(t, what, func(w world) (world, bool) { return world{true, w.bit}, true })
				}
			case 2: // Handle.Notify
				if m.handle == 0 && !m.alone {
					h, err := m.n.Handle()
					m.check(t, what, err)
					m.handle = h
				}
				if m.handle != 0 {
					m.check(t, what, m.handle.Notify())
					if !m.closed {
						m.apply(t, what, func(w world) (world, bool) { return world{w.token, true}, true })
					}
				}
			case 3: // Wait, if it need not block
				err := m.n.Wait(done)
				switch {
				case err == nil:
					m.apply(t, what, func(w world) (world, bool) { return world{}, w.token })
				case m.closed && errors.Is(err, ErrClosed), err == context.Canceled:
					m.apply(t, what, func(w world) (world, bool) { return w, !w.token })
				default:
					t.Fatalf("%s: %v", what, err)
				}
			case 4: // receive
				select {
				case <-m.n.C():
					m.apply(t, what, func(w world) (world, bool) { return world{false, w.bit}, w.token })
				default:
					m.apply(t, what, func(w world) (world, bool) { return w, !w.token })
				}
			case 5: // Clear
				had := m.n.Clear()
				m.apply(t, what, func(w world) (world, bool) { return world{}, had == (w.token || w.bit) })
			case 6: // Close
				if m.n.Close() != nil {
					t.Fatal(what)
				}
				m.apply(t, what, func(w world) (world, bool) { return world{w.token, false}, true })
				m.closed = true
			case 7: // Err, Done
				m.check(t, what, m.n.Err())
				select {
				case <-m.n.Done():
					if !m.closed {
						t.Fatalf("%s: done", what)
					}
				default:
					if m.closed {
						t.Fatalf("%s: not done", what)
					}
				}
			case 8: // Handle
				if m.alone {
					continue
				}
				h, err := m.n.Handle()
				m.check(t, what, err)
				if m.handle != 0 && err == nil && h != m.handle {
					t.Fatalf("%s: %#x, and before %#x", what, h, m.handle)
				}
				if err == nil {
					m.handle = h
				}
			case 9: // Wakes, left at once
				woken := false
				for range m.n.Wakes(done) {
					woken = true
					break
				}
				m.apply(t, what, func(w world) (world, bool) {
					if woken {
						return world{}, w.token
					}
					return w, !w.token
				})
			case 10: // Poller.Close, and another one
				if at%4 != 0 {
					continue // or there would be little else
				}
				if p.Close() != nil {
					t.Fatal(what)
				}
				for _, m := range all {
					if !m.closed && !m.alone {
						m.apply(t, what, func(w world) (world, bool) { return world{w.token, false}, true })
						m.closed = true
					}
				}
				p, _ = fakePoller(t)
				if len(all) < 16 {
					create(p.New())
				}
			case 11: // let the poller do what there is
				started := false
				for _, m := range all {
					started = started || m.handle != 0 && !m.closed
				}
				if !started {
					continue
				}
				settle(t, p)
				for _, m := range all {
					if !m.closed {
						m.apply(t, what, func(w world) (world, bool) { return world{w.token || w.bit, false}, true })
					}
				}
			case 12: // Stats
				if s := m.n.Stats(); s.Delivered == 0 {
					m.apply(t, what, func(w world) (world, bool) { return w, !w.token })
				}
			case 13: // one of New alone
				if len(all) < 16 {
					create(New(), nil)
					all[len(all)-1].alone = true
				}
			default: // a handle that is none
				if Handle(b>>4).Notify() == nil {
					t.Fatal(what)
				}
			}
		}
	})
}

// FuzzScribble takes its bytes for words and where to write them in the block,
// the header excepted; in between a notifier is used. Nothing may hang or crash,
// and those made afterwards are as they should be.
func FuzzScribble(f *testing.F) {
	seed := func(words ...uint32) {
		var b []byte
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		f.Add(b)
	}
	seed()
	seed(128, 0, 128, 1, 128, 7, 128, ^uint32(0))
	seed(256, ^uint32(0), 384, ^uint32(0), 512, ^uint32(0), 8192, ^uint32(0))
	seed(8192, 1, 139264, 5, 139268, 0, 256, 1)
	seed(139264, 1<<19, 8192, 3, 512, 1, 384, 1, 256, 1, 128, 3)
	f.Fuzz(func(t *testing.T, words []byte) {
		p := scribbled(t)
		old, handles := notifiers(t, p, 3)
		limit := uint32(blockSize) / 4
		for i := 0; len(words) >= 8; i++ {
			at, value := binary.LittleEndian.Uint32(words)/4, binary.LittleEndian.Uint32(words[4:])
			words = words[8:]
			if at%limit >= 32 { // after the header's line
				atomic.StoreUint32(wordOf(p.set.block, at%limit), value)
			}
			n, h := old[i%3], handles[i%3]
			if err := h.Notify(); err != nil && !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
			switch i % 4 {
			case 0:
				n.Clear()
			case 1:
				_ = n.Notify()
				if err := n.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, n := range old {
			if n.Err() != nil || n.Close() != nil {
				t.Fatal(n.Err())
			}
		}
		list, handles := notifiers(t, p, 3)
		for range 2 {
			for i, n := range list {
				if err := handles[i].Notify(); err != nil {
					t.Fatal(err)
				}
				receive(t, n)
			}
		}
	})
}

// scribbled is a fake poller whose ready set is kept for the next call: a fresh
// one each time would use up the address space.
func scribbled(t *testing.T) *Poller {
	p, _ := fakePoller(t)
	p.watch = 100 * time.Microsecond
	return p
}
