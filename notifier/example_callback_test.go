//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64))

package notifier_test

// This file holds the examples of the C functions. The library that calls them is
// played by a goroutine, with the package by which tests call C.

import (
	"fmt"
	"log"
	"runtime"
	"sync"
	"unsafe"

	"github.com/wakechan/wakechan/internal/ccall"
	"github.com/wakechan/wakechan/notifier"
)

// engine stands for a C library that calls back from threads of its own.
type engine struct{ threads sync.WaitGroup }

func (e *engine) start(done unsafe.Pointer, data unsafe.Pointer) {
	e.threads.Go(func() {
		for status := range 3 {
			ccall.Call(done, uint64(status), uint64(uintptr(data))) // done(status, data)
		}
	})
}

func ExampleCallback() {
	// void (*done)(int status, void *data): the handle is argument 1.
	done, err := notifier.Callback(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}

	var e engine // a library, loaded at run time
	e.start(done, h.Pointer())
	e.threads.Wait()
	<-n.C()
	fmt.Println("the library has called")
	// Output: the library has called
}

// The options of Callback are for libraries that pass a struct of theirs, as libuv
// does, or that want an answer.
func ExampleCallbackOption() {
	// int (*on_write)(struct request *request): the handle is in *request.
	onWrite, err := notifier.Callback(0, notifier.Indirect(), notifier.Returns(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}

	request := &struct{ data unsafe.Pointer }{h.Pointer()} // memory of the library
	var memory runtime.Pinner
	memory.Pin(request)
	defer memory.Unpin()
	fmt.Println("returned", ccall.Call(onWrite, uint64(uintptr(unsafe.Pointer(request)))))
	<-n.C()
	// Output: returned 1
}

func ExampleNotifier_Bind() {
	n := notifier.New()
	defer n.Close()
	// For a library that passes nothing of ours to its callback.
	done, err := n.Bind()
	if err != nil {
		fmt.Println(err)
		return
	}

	var e engine
	e.start(done, nil)
	e.threads.Wait()
	<-n.C()
	fmt.Println("the library has called")
	// Output: the library has called
}

func ExampleNotifyFunc() {
	// int (*notify)(uint64_t handle): for a library that calls it as it likes.
	notify, err := notifier.NotifyFunc()
	if err != nil {
		fmt.Println(err)
		return
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(ccall.Call(notify, uint64(h))) // NOTIFIER_OK
	<-n.C()
	n.Close()
	fmt.Println(int32(ccall.Call(notify, uint64(h)))) // NOTIFIER_CLOSED
	// Output:
	// 0
	// -1
}
