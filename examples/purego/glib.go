//go:build linux || darwin

package main

import (
	"context"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/wakechan/wakechan/notifier"
)

// timer lets GLib's main loop tick, on a thread of its own. A source that returns 0, which
// is G_SOURCE_REMOVE, would tick once: hence Returns(1), G_SOURCE_CONTINUE.
func timer(ticks int) (seen int, err error) {
	library, err := open("libglib-2.0.so.0", "libglib-2.0.dylib")
	if err != nil {
		return 0, err
	}
	var (
		newLoop    func(context unsafe.Pointer, running int32) unsafe.Pointer
		run        func(loop unsafe.Pointer)
		quit       func(loop unsafe.Pointer)
		unref      func(loop unsafe.Pointer)
		timeoutAdd func(milliseconds uint32, function, data unsafe.Pointer) uint32
		remove     func(source uint32) int32
	)
	purego.RegisterLibFunc(&newLoop, library, "g_main_loop_new")
	purego.RegisterLibFunc(&run, library, "g_main_loop_run")
	purego.RegisterLibFunc(&quit, library, "g_main_loop_quit")
	purego.RegisterLibFunc(&unref, library, "g_main_loop_unref")
	purego.RegisterLibFunc(&timeoutAdd, library, "g_timeout_add")
	purego.RegisterLibFunc(&remove, library, "g_source_remove")

	// gboolean (*)(gpointer data)
	tick, err := notifier.Callback(0, notifier.Returns(1))
	if err != nil {
		return 0, err
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		return 0, err
	}

	loop := newLoop(nil, 0)
	source := timeoutAdd(1, tick, h.Pointer())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		run(loop)
	}()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for seen < ticks && err == nil {
		if err = n.Wait(ctx); err == nil {
			seen++
		}
	}
	remove(source)
	quit(loop)
	<-ended
	unref(loop)
	return seen, err
}
