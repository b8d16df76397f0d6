//go:build e2e && linux

package curl

// This file holds the drivers: the Group, and what one would write without it.

import (
	"context"
	"os"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
)

// wanted is libcurl's wish as an option of Watch.
func wanted(what int) chanadapter.Option {
	var e chanadapter.Events
	if what&pollIn != 0 {
		e |= chanadapter.EventRead
	}
	if what&pollOut != 0 {
		e |= chanadapter.EventWrite
	}
	return chanadapter.Interest(e)
}

// found is what libcurl is told of events.
func found(e chanadapter.Events) (what int) {
	if e&(chanadapter.EventRead|chanadapter.EventHangUp) != 0 {
		what |= selectIn
	}
	if e&chanadapter.EventWrite != 0 {
		what |= selectOut
	}
	if e&chanadapter.EventError != 0 {
		what |= selectErr
	}
	return what
}

// clock is libcurl's one timer.
type clock struct{ *time.Timer }

func newClock() clock {
	t := time.NewTimer(0)
	t.Stop()
	return clock{t}
}

func (t clock) follow(c *Client) {
	if d, set, changed := c.Timeout(); changed && set {
		t.Reset(d)
	} else if changed {
		t.Stop()
	}
}

// socket is one of libcurl's.
type socket struct {
	fd     int
	w      *chanadapter.Watcher
	wanted int  // what libcurl wants to be told of it; pollRemove: nothing
	armed  bool // it has a token to give still
}

// ByGroup does all transfers on one goroutine, by one channel. It calls each after each
// wake-up.
//
// libcurl reads a part of what is there, and counts on being called again: so the
// Watchers are one-shot, and rearmed after the call for their socket. It also stops and
// begins to want the same socket for each transfer. A Watcher stays as long as the socket
// is open, since Change costs less than Close and Watch.
func ByGroup(ctx context.Context, c *Client, each func()) error {
	g := chanadapter.NewGroup()
	defer g.Close()
	sockets := map[int]*socket{}
	var told []*socket
	timer := newClock()
	defer timer.Stop()
	wish := func(fd, what int) (err error) {
		s := sockets[fd]
		switch {
		case what == closed:
			if s != nil {
				delete(sockets, fd)
				_ = s.w.Close()
			}
		case what == pollRemove:
			s.wanted = pollRemove
		case s != nil && s.w.Change(wanted(what), chanadapter.OneShot()) == nil:
			s.wanted, s.armed = what, true
		default:
			if s != nil { // its number is another socket's, and nobody has told
				_ = s.w.Close()
			}
			s = &socket{fd: fd, wanted: what, armed: true}
			s.w, err = chanadapter.Watch(uintptr(fd), wanted(what), chanadapter.OneShot(),
				chanadapter.In(g), chanadapter.WithValue(s))
			sockets[fd] = s
		}
		return err
	}
	follow := func() error {
		if err := c.Next(); err != nil {
			return err
		}
		timer.follow(c)
		return c.Wishes(wish)
	}
	if err := c.Begin(); err != nil {
		return err
	}
	for {
		if err := follow(); err != nil || c.Pending() == 0 {
			return err
		}
		select {
		case <-g.C():
			for w, events := range g.Ready() {
				s := w.Value().(*socket)
				s.armed = false
				if s.wanted == pollRemove {
					continue
				}
				if err := c.Act(s.fd, found(events)); err != nil {
					return err
				}
				if err := follow(); err != nil {
					return err
				}
				told = append(told, s)
			}
			// All in one go: in a small group, who rearms each at once wakes the watching
			// goroutine as often.
			for _, s := range told {
				if !s.armed && s.wanted != pollRemove {
					s.armed = true
					_ = s.w.Rearm() // or libcurl has closed it
				}
			}
			told = told[:0]
		case <-timer.C:
			if err := c.Act(timedOut, 0); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		each()
	}
}

// ByEpoll has an epoll set of its own, in whose epoll_wait a thread blocks.
func ByEpoll(_ context.Context, c *Client, each func()) error {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(set)
	watched := map[int]bool{}
	var deadline time.Time
	follow := func() error {
		if err := c.Next(); err != nil {
			return err
		}
		if d, set, changed := c.Timeout(); changed && set {
			deadline = time.Now().Add(d)
		} else if changed {
			deadline = time.Time{}
		}
		return c.Wishes(func(fd, what int) error {
			if what == closed {
				return nil
			}
			if what == pollRemove {
				delete(watched, fd)
				_ = unix.EpollCtl(set, unix.EPOLL_CTL_DEL, fd, nil)
				return nil
			}
			e := unix.EpollEvent{Fd: int32(fd)}
			if what&pollIn != 0 {
				e.Events |= unix.EPOLLIN
			}
			if what&pollOut != 0 {
				e.Events |= unix.EPOLLOUT
			}
			if watched[fd] {
				if unix.EpollCtl(set, unix.EPOLL_CTL_MOD, fd, &e) == nil {
					return nil
				}
			}
			watched[fd] = true
			return os.NewSyscallError("epoll_ctl", unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &e))
		})
	}
	if err := c.Begin(); err != nil {
		return err
	}
	var events [128]unix.EpollEvent
	for {
		if err := follow(); err != nil || c.Pending() == 0 {
			return err
		}
		timeout := -1
		if !deadline.IsZero() {
			timeout = max(0, int((time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
		}
		n, err := unix.EpollWait(set, events[:], timeout)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			what := 0
			if e.Events&(unix.EPOLLIN|unix.EPOLLHUP) != 0 {
				what |= selectIn
			}
			if e.Events&unix.EPOLLOUT != 0 {
				what |= selectOut
			}
			if e.Events&unix.EPOLLERR != 0 {
				what |= selectErr
			}
			if err := c.Act(int(e.Fd), what); err != nil {
				return err
			}
			if err := follow(); err != nil {
				return err
			}
		}
		if !deadline.IsZero() && !time.Now().Before(deadline) {
			deadline = time.Time{}
			if err := c.Act(timedOut, 0); err != nil {
				return err
			}
		}
		each()
	}
}

// ByReflect has a Watcher with a channel for each socket, and reflect.Select over all.
func ByReflect(ctx context.Context, c *Client, each func()) error {
	timer := newClock()
	defer timer.Stop()
	const others = 2
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timer.C)},
	}
	var watchers []*chanadapter.Watcher // of cases[others:]
	index := map[int]int{}              // by descriptor
	defer func() {
		for _, w := range watchers {
			_ = w.Close()
		}
	}()
	follow := func() error {
		if err := c.Next(); err != nil {
			return err
		}
		timer.follow(c)
		return c.Wishes(func(fd, what int) error {
			i, there := index[fd]
			switch {
			case what == closed:
				return nil
			case what == pollRemove:
				_ = watchers[i].Close()
				last := len(watchers) - 1
				watchers[i], cases[others+i] = watchers[last], cases[others+last]
				index[watchers[i].Value().(int)] = i
				watchers, cases = watchers[:last], cases[:others+last]
				delete(index, fd)
				return nil
			case there:
				if watchers[i].Change(wanted(what), chanadapter.OneShot()) == nil {
					return nil
				}
				_ = watchers[i].Close()
			default:
				i = len(watchers)
				index[fd] = i
				watchers, cases = append(watchers, nil), append(cases, reflect.SelectCase{Dir: reflect.SelectRecv})
			}
			w, err := chanadapter.Watch(uintptr(fd), wanted(what), chanadapter.OneShot(), chanadapter.WithValue(fd))
			if err != nil {
				return err
			}
			watchers[i], cases[others+i].Chan = w, reflect.ValueOf(w.C())
			return nil
		})
	}
	if err := c.Begin(); err != nil {
		return err
	}
	for {
		if err := follow(); err != nil || c.Pending() == 0 {
			return err
		}
		switch i, _, _ := reflect.Select(cases); i {
		case 0:
			return context.Cause(ctx)
		case 1:
			if err := c.Act(timedOut, 0); err != nil {
				return err
			}
		default:
			w := watchers[i-others]
			fd := w.Value().(int)
			if err := c.Act(fd, found(w.Ready())); err != nil {
				return err
			}
			if err := follow(); err != nil {
				return err
			}
			if i, there := index[fd]; there && watchers[i] == w {
				_ = w.Rearm()
			}
		}
		each()
	}
}

// ByGoroutines has a Watcher and a goroutine for each socket, which pass on their
// tokens to one channel.
func ByGoroutines(ctx context.Context, c *Client, each func()) error {
	timer := newClock()
	defer timer.Stop()
	watchers := map[int]*chanadapter.Watcher{}
	tokens := make(chan *chanadapter.Watcher, 64)
	over := make(chan struct{})
	defer close(over)
	defer func() {
		for _, w := range watchers {
			_ = w.Close()
		}
	}()
	follow := func() error {
		if err := c.Next(); err != nil {
			return err
		}
		timer.follow(c)
		return c.Wishes(func(fd, what int) error {
			w := watchers[fd]
			if what == closed {
				return nil
			}
			if what == pollRemove {
				delete(watchers, fd)
				return w.Close()
			}
			if w != nil {
				if w.Change(wanted(what), chanadapter.OneShot()) == nil {
					return nil
				}
				_ = w.Close()
			}
			w, err := chanadapter.Watch(uintptr(fd), wanted(what), chanadapter.OneShot(), chanadapter.WithValue(fd))
			if err != nil {
				return err
			}
			watchers[fd] = w
			go func() {
				for {
					select {
					case <-w.C():
						select {
						case tokens <- w:
						case <-over:
							return
						}
					case <-w.Done():
						return
					}
				}
			}()
			return nil
		})
	}
	if err := c.Begin(); err != nil {
		return err
	}
	for {
		if err := follow(); err != nil || c.Pending() == 0 {
			return err
		}
		select {
		case w := <-tokens:
			fd := w.Value().(int)
			if watchers[fd] == w {
				if err := c.Act(fd, found(w.Ready())); err != nil {
					return err
				}
				if err := follow(); err != nil {
					return err
				}
				if watchers[fd] == w {
					_ = w.Rearm()
				}
			}
		case <-timer.C:
			if err := c.Act(timedOut, 0); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		each()
	}
}
