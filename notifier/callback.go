package notifier

// This file holds what is public of the C functions that stand in the Go program
// itself: NotifyFunc, Callback and Bind. callback_asm.go finds their addresses,
// callback_*.s has their instructions, and callback_other.go is for the systems
// and processors without them.

import (
	"fmt"
	"os"
	"unsafe"
)

// NotifyFunc returns the address of notifier_notify as a C function:
//
//	int notify(uint64_t handle);
//
// It does what notifier.h describes and returns the codes that are listed there,
// with one difference: on Linux it makes system calls without the C library, so
// that it leaves errno alone, also when it returns NOTIFIER_FAILED; on Windows it
// leaves errno alone and sets only what GetLastError returns.
//
// The function is part of the program's own code. It needs no cgo and no C
// compiler, never enters the Go runtime, and may be called by any thread and any
// signal handler, at any time, until the process ends.
//
// It exists on Linux and macOS (amd64, arm64) and on Windows (amd64). Elsewhere
// the error matches [errors.ErrUnsupported]. On Windows an error of the system means
// that kernel32.dll lacks PostQueuedCompletionStatus.
func NotifyFunc() (unsafe.Pointer, error) {
	return notifyFunc()
}

// Callback returns the address of a C function for a library that calls back with
// "user data". The function takes a Handle from its argument number arg, notifies
// it as notifier_notify does, and returns 0. It has whatever parameters the
// library's callback type has; it looks at that argument only:
//
//	f, err := notifier.Callback(1)        // void (*done)(int status, void *data)
//	h, err := n.Handle()
//	register(f, h.Pointer())              // what the library passes on as data
//
// The first argument has number 0, the last that can be used number 5. On Linux and
// macOS only arguments that are integers or pointers count, since those of floating
// point travel in registers of their own. On Windows all arguments count. An
// argument that is a struct, or of more than 8 bytes, before number arg is outside
// of this rule: use Bind.
//
// One address serves any number of notifiers and calls. A handle whose notifier was
// closed, or 0, is harmless. Any other number that is not a handle must not be
// passed. What is said of [NotifyFunc] holds here too.
//
// Errors: one that matches [os.ErrInvalid] when arg is not 0 to 5 or an option is
// wrong; otherwise those of NotifyFunc.
func Callback(arg int, opts ...CallbackOption) (unsafe.Pointer, error) {
	o, err := callbackOptionsOf(opts)
	if err != nil {
		return nil, err
	}
	if arg < 0 || arg >= callbackArgs {
		return nil, errCallback("a callback takes its handle from argument 0 to 5")
	}
	return callbackFunc(arg, o)
}

// Bind returns the address of a C function that notifies n whatever its arguments
// are, and returns 0. It is for callbacks without "user data". Handle's errors are
// Bind's too, and so are Callback's; Indirect makes no sense here and is an error.
//
// There are 256 such functions in a process. n has the one that it was given until
// Close, or until its poller breaks; when no function is left, the error says so.
// Calling Bind again with the same options returns the same address. With another
// Returns it is a second function.
//
// After Close the address stays callable. A late call does nothing, or, once the
// function was given to another notifier, wakes that one without need. Functions are
// given out in turn, so that this comes as late as possible.
func (n *Notifier) Bind(opts ...CallbackOption) (unsafe.Pointer, error) {
	o, err := callbackOptionsOf(opts)
	if err != nil {
		return nil, err
	}
	if o.indirect {
		return nil, errCallback("a function of Bind looks at no argument, so Indirect has no meaning")
	}
	if _, err := notifyFunc(); err != nil {
		return nil, err
	}
	h, err := n.Handle()
	if err != nil {
		return nil, err
	}
	return bindFunc(h, o)
}

// CallbackOption changes the C function that Callback or Bind returns.
type CallbackOption func(*callbackOptions)

type callbackOptions struct {
	returns  int
	indirect bool
}

// Returns makes the C function return v, which is 0 or 1. Without it that is 0. The
// value is as wide as a pointer, so that it serves for int, long, bool and pointers.
func Returns(v int) CallbackOption {
	return func(o *callbackOptions) { o.returns = v }
}

// Indirect makes the C function of Callback take its argument for a pointer to the
// handle: for libraries that pass a struct of theirs whose first member is for the
// user, as libuv does (uv_handle_t.data, uv_req_t.data). The memory must be readable
// and hold a handle or 0 whenever the function is called.
func Indirect() CallbackOption {
	return func(o *callbackOptions) { o.indirect = true }
}

const (
	callbackArgs = 6   // how many arguments Callback can take a handle from
	maxBound     = 256 // how many functions Bind has to give
)

// The errors are made where they are returned: a variable of the package would be
// made in every program that imports it.

func errCallback(what string) error { return fmt.Errorf("notifier: %s: %w", what, os.ErrInvalid) }

func callbackOptionsOf(opts []CallbackOption) (callbackOptions, error) {
	var o callbackOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.returns != 0 && o.returns != 1 {
		return o, errCallback("a callback returns 0 or 1")
	}
	return o, nil
}
