//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/wakechan/wakechan/notifier"
)

// threadPool queues requests to libuv's thread pool. Each has a notifier of its own, whose
// handle is in the request's first member, data: hence Indirect.
func threadPool(requests int) (seen int, err error) {
	library, err := open("libuv.so.1", "libuv.dylib")
	if err != nil {
		return 0, err
	}
	var (
		loopSize  func() uintptr
		loopInit  func(loop unsafe.Pointer) int32
		loopClose func(loop unsafe.Pointer) int32
		reqSize   func(kind int32) uintptr
		queueWork func(loop, request, work, after unsafe.Pointer) int32
		run       func(loop unsafe.Pointer, mode int32) int32
	)
	purego.RegisterLibFunc(&loopSize, library, "uv_loop_size")
	purego.RegisterLibFunc(&loopInit, library, "uv_loop_init")
	purego.RegisterLibFunc(&loopClose, library, "uv_loop_close")
	purego.RegisterLibFunc(&reqSize, library, "uv_req_size")
	purego.RegisterLibFunc(&queueWork, library, "uv_queue_work")
	purego.RegisterLibFunc(&run, library, "uv_run")

	// void (*)(uv_work_t *request)
	work, err := notifier.Callback(0, notifier.Indirect())
	if err != nil {
		return 0, err
	}

	runtime.LockOSThread() // the loop's thread
	defer runtime.UnlockOSThread()
	loopMemory := words(loopSize())
	loop := unsafe.Pointer(&loopMemory[0])
	if code := loopInit(loop); code != 0 {
		return 0, fmt.Errorf("uv_loop_init: %d", code)
	}
	const uvWork = 7
	memory := make([][]uint64, requests)
	notifiers := make([]*notifier.Notifier, requests)
	for i := range requests {
		notifiers[i] = notifier.New()
		defer notifiers[i].Close()
		h, err := notifiers[i].Handle()
		if err != nil {
			return 0, err
		}
		memory[i] = words(reqSize(uvWork))
		memory[i][0] = uint64(h) // uv_work_t.data
		if code := queueWork(loop, unsafe.Pointer(&memory[i][0]), work, nil); code != 0 {
			return 0, fmt.Errorf("uv_queue_work: %d", code)
		}
	}
	count := make(chan int)
	go func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		woken := 0
		for _, n := range notifiers {
			if n.Wait(ctx) == nil {
				woken++
			}
		}
		count <- woken
	}()
	for run(loop, 0) != 0 { // UV_RUN_DEFAULT, until no request is left
	}
	seen = <-count
	if code := loopClose(loop); code != 0 {
		return seen, fmt.Errorf("uv_loop_close: %d", code)
	}
	runtime.KeepAlive(memory)
	runtime.KeepAlive(loopMemory)
	return seen, nil
}

// words is memory of so many bytes, aligned, and without pointers to Go's.
func words(bytes uintptr) []uint64 { return make([]uint64, (bytes+7)/8) }
