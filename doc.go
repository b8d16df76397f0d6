// Package wakechan is the root of a module whose packages let code outside of the Go
// runtime wake a goroutine: C, C++, Rust or Zig threads, signal handlers, the kernel,
// a Windows handle, the host of a WebAssembly guest. The goroutine selects on a
// channel.
//
//	go get github.com/wakechan/wakechan
//
// This package has no functions. Its packages are:
//
//   - [github.com/wakechan/wakechan/notifier]: wakes a goroutine. Foreign code calls
//     notifier_notify with a number. Start here.
//   - [github.com/wakechan/wakechan/ring]: hands over data too. Foreign code pushes
//     records into shared memory, and a goroutine reads them.
//   - [github.com/wakechan/wakechan/chanadapter]: makes channels of descriptors,
//     timers, processes and Windows handles that exist already.
//   - [github.com/wakechan/wakechan/cmd/notifierh]: writes notifier.h and ring.h, the
//     headers for foreign code.
//
// The README shows the quickest way to try it, and says when a plain channel is the
// better choice: https://github.com/wakechan/wakechan
package wakechan

// For this import "go get" of the module records what its packages need.
import _ "github.com/wakechan/wakechan/notifier"
