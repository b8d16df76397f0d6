// Library checks the C functions of package notifier from inside of a shared library or
// a plugin: each wakes its notifier, called by C.
package main

// #include <stdint.h>
//
// static uint64_t cell;
//
// static uint64_t point(uint64_t value) {
//   cell = value;
//   return (uintptr_t)&cell;
// }
//
// typedef long (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
//
// static long call(void *f, int arg, uint64_t value) {
//   uint64_t args[6] = {0};
//   args[arg] = value;
//   return ((function)f)(args[0], args[1], args[2], args[3], args[4], args[5]);
// }
//
// static long call1(void *f, void *data) { return ((long (*)(void *))f)(data); }
import "C"

import (
	"context"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

// Check returns 0, or a number that says what went wrong.
func Check() int {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		return 1
	}
	f, err := notifier.Callback(0)
	if err != nil || C.call1(f, h.Pointer()) != 0 || n.Wait(ctx) != nil {
		return 2
	}
	pointer := C.point(C.uint64_t(h))
	for arg := range 6 {
		for returns := range 2 {
			f, err := notifier.Callback(arg, notifier.Returns(returns))
			if err != nil || int(C.call(f, C.int(arg), C.uint64_t(h))) != returns || n.Wait(ctx) != nil {
				return 100 + 10*arg + returns
			}
			f, err = notifier.Callback(arg, notifier.Returns(returns), notifier.Indirect())
			if err != nil || int(C.call(f, C.int(arg), pointer)) != returns || n.Wait(ctx) != nil {
				return 200 + 10*arg + returns
			}
		}
	}
	for i := range 256 {
		m := notifier.New()
		f, err := m.Bind(notifier.Returns(i % 2))
		if err != nil || int(C.call(f, 0, 0)) != i%2 || m.Wait(ctx) != nil {
			return 1000 + i
		}
		defer m.Close()
	}
	return 0
}

// WakechanCheck is Check for C.
//
//export WakechanCheck
func WakechanCheck() C.int { return C.int(Check()) }

func main() {}
