//go:build linux || darwin

// Purego wakes goroutines from C libraries that are loaded at run time, by
// github.com/ebitengine/purego: no cgo, no C compiler, no header. What the libraries are
// given as callbacks are the functions of notifier.Callback.
package main

import (
	"errors"
	"fmt"
	"log"
	"runtime"

	"github.com/ebitengine/purego"
)

// errMissing is why an example is left out: its library is not installed.
var errMissing = errors.New("not installed")

// examples are the libraries. Each makes callbacks, and returns how many of them woke a
// goroutine that waited for it.
var examples = []struct {
	library, what string
	callbacks     int
	run           func(callbacks int) (woken int, err error)
}{
	{"SQLite", "update hook", 100_000, updateHook},
	{"libuv", "thread pool", 5_000, threadPool},
	{"libzmq", "free functions, on an I/O thread", 2_000, freeFunctions},
	{"GLib", "a timer that goes on while the callback returns 1", 100, timer},
}

func main() {
	for _, e := range examples {
		woken, err := e.run(e.callbacks)
		switch {
		case errors.Is(err, errMissing):
			fmt.Printf("%-7s %v\n", e.library, err)
		case err != nil:
			log.Fatalf("%s: %v", e.library, err)
		default:
			fmt.Printf("%-7s %6d callbacks, %6d seen: %s\n", e.library, e.callbacks, woken, e.what)
		}
	}
}

// open loads a library by one of its names.
func open(linux, darwin string) (uintptr, error) {
	name := linux
	if runtime.GOOS == "darwin" {
		name = darwin
	}
	library, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", errMissing, err)
	}
	return library, nil
}
