//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/wakechan/wakechan/notifier"
)

// freeFunctions sends messages whose bytes libzmq does not copy. When it is done with them
// it calls the message's free function, on an I/O thread, with our hint.
func freeFunctions(messages int) (seen int, err error) {
	library, err := open("libzmq.so.5", "libzmq.dylib")
	if err != nil {
		return 0, err
	}
	var (
		newContext func() unsafe.Pointer
		terminate  func(context unsafe.Pointer) int32
		newSocket  func(context unsafe.Pointer, kind int32) unsafe.Pointer
		closeIt    func(socket unsafe.Pointer) int32
		bind       func(socket unsafe.Pointer, address string) int32
		connect    func(socket unsafe.Pointer, address string) int32
		getOption  func(socket unsafe.Pointer, option int32, value *byte, size *uintptr) int32
		initData   func(message, data unsafe.Pointer, size uintptr, free, hint unsafe.Pointer) int32
		send       func(message, socket unsafe.Pointer, flags int32) int32
		receive    func(socket unsafe.Pointer, buffer *byte, size uintptr, flags int32) int32
		errno      func() int32
	)
	purego.RegisterLibFunc(&newContext, library, "zmq_ctx_new")
	purego.RegisterLibFunc(&terminate, library, "zmq_ctx_term")
	purego.RegisterLibFunc(&newSocket, library, "zmq_socket")
	purego.RegisterLibFunc(&closeIt, library, "zmq_close")
	purego.RegisterLibFunc(&bind, library, "zmq_bind")
	purego.RegisterLibFunc(&connect, library, "zmq_connect")
	purego.RegisterLibFunc(&getOption, library, "zmq_getsockopt")
	purego.RegisterLibFunc(&initData, library, "zmq_msg_init_data")
	purego.RegisterLibFunc(&send, library, "zmq_msg_send")
	purego.RegisterLibFunc(&receive, library, "zmq_recv")
	purego.RegisterLibFunc(&errno, library, "zmq_errno")

	// libzmq polls its own descriptors, and the signals by which Go preempts goroutines
	// end that with EINTR. errno belongs to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	repeat := func(call func() int32) int32 {
		for {
			if n := call(); n >= 0 || syscall.Errno(errno()) != syscall.EINTR {
				return n
			}
		}
	}

	// void (*)(void *data, void *hint)
	done, err := notifier.Callback(1)
	if err != nil {
		return 0, err
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		return 0, err
	}

	const pull, push, lastEndpoint = 7, 8, 32
	zmq := newContext()
	defer repeat(func() int32 { return terminate(zmq) })
	in, out := newSocket(zmq, pull), newSocket(zmq, push)
	defer closeIt(in)
	defer closeIt(out)
	address := make([]byte, 256)
	size := uintptr(len(address))
	if repeat(func() int32 { return bind(in, "tcp://127.0.0.1:*") }) != 0 || getOption(in, lastEndpoint, &address[0], &size) != 0 ||
		repeat(func() int32 { return connect(out, string(address[:size-1])) }) != 0 {
		return 0, errors.New("no connection")
	}

	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	data := make([]byte, 1<<16)
	message := words(64) // zmq_msg_t
	got := make([]byte, len(data))
	for range messages {
		if initData(unsafe.Pointer(&message[0]), unsafe.Pointer(&data[0]), uintptr(len(data)), done, h.Pointer()) != 0 ||
			repeat(func() int32 { return send(unsafe.Pointer(&message[0]), out, 0) }) < 0 {
			return seen, errors.New("cannot send")
		}
		if repeat(func() int32 { return receive(in, &got[0], uintptr(len(got)), 0) }) != int32(len(data)) {
			return seen, errors.New("cannot receive")
		}
		if err := n.Wait(ctx); err != nil {
			return seen, err
		}
		seen++ // data is ours again
	}
	runtime.KeepAlive(data)
	return seen, nil
}
