// Package chanadapter turns event sources that exist already into channels: a
// descriptor or Windows handle that a library owns, an eventfd that the kernel
// signals, the end of a process, a timer that counts while the machine sleeps. A
// goroutine selects, as on a [notifier.Notifier]:
//
//	w, err := chanadapter.Watch(fd, chanadapter.OneShot())   // a library's socket
//	defer w.Close()
//	for {
//		select {
//		case <-w.C():
//			library.process()     // its own call, which may leave something unread
//			w.Rearm()             // a token at once if there is more
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
//
// What was there before [Watch] is announced too. Without [OneShot] a Watch is
// edge-triggered: cheaper, and right only for a reader that reads until it would
// block. [docs/watch.md] has a table of libraries. For many descriptors see [Group].
//
// # Conventions
//
// They are package notifier's. C has room for one token and is never closed:
// any number of events before a receive leave one token, and none is lost. Done
// is closed when no more tokens come, and Err says why: [ErrClosed] after Close,
// or what broke. Close may be called again, and from several goroutines. All
// methods are safe from any goroutine at any time. On a nil or zero value C panics,
// and everything else answers as after Close.
//
// # Who owns what
//
// Watch never reads, writes, closes or changes the flags of the descriptor. Once
// Close has returned the library does not touch it any more, so that its owner can
// close it right after. Call Close first, then let the owner close.
//
// The kernel does not tell when an owner closes first. No harm is done, but no more
// tokens come. If the number then names another file, the Watcher's next Rearm or
// Change returns an error, and so does Err when somebody watches the number anew. If
// the file lives on through a duplicate, in a child process perhaps, its events are
// announced until the library notices.
//
// A descriptor of an [os.File] has two more owners. Its finalizer closes the descriptor
// when the File is not used any more, so keep the File until after Close. And
// [os.File.Fd] may make the descriptor blocking, for all who share it: a read then
// holds up a thread, and deadlines stop working. File.SyscallConn gives the number
// without that:
//
//	conn, err := file.SyscallConn()
//	…
//	err = conn.Control(func(fd uintptr) { w, watchErr = chanadapter.Watch(fd) })
//
// # Cost
//
// All watches share one goroutine and one epoll set, kqueue or completion port,
// made by the first Watch and gone after the last Close. A watch has no
// descriptor, goroutine or thread of its own.
//
// On Linux this goroutine is parked in the runtime's network poller and blocks no
// thread. That is for sockets, pipes, eventfds, timers, signal and process
// descriptors and inotify. Other kinds of files (perf events, /proc, devices,
// FUSE, epoll sets) must not be polled by the runtime: some of them forget an event
// when they are polled, and some block. Each such kind has an epoll set and a
// goroutine that blocks a thread, from its first Watch to its last Close. A Group
// that has 32 Watchers gets a set and a goroutine of its own for further ones that
// the runtime may poll, until its last Close.
//
// # Systems
//
// What can be watched depends on the system:
//
//   - Linux: anything that epoll takes, so no regular files and directories. A perf
//     event or a file of /proc, /sys or a cgroup gets a token at once, whether it has
//     news or not: what it had to say before cannot be found out.
//   - macOS, FreeBSD, DragonFly, NetBSD, OpenBSD: anything that kqueue takes.
//     The goroutine blocks one thread, for all watches.
//   - Windows: waitable handles (events, processes, semaphores, timers), any
//     number of them, with SYNCHRONIZE access. The goroutine blocks one thread.
//     A wait takes away the signal of an auto-reset event or a semaphore: each
//     is a token, and is gone for others who wait. Whatever stays signalled (a
//     manual-reset event, a process, any timer) gives one token and is then
//     watched again after Rearm, as with OneShot. A watch has a duplicate of the
//     handle, so the object lives at least until Close.
//   - Elsewhere Watch returns an error that matches [errors.ErrUnsupported].
//
// [EventFD] and [Timer] are for Linux, where they come from, [Process] for Linux and
// Windows. Elsewhere [NewEventFD], [OpenEventFD], [NewTimer] and Process return an error
// that matches errors.ErrUnsupported.
//
// # testing/synctest
//
// Watch gives an error inside a bubble: its goroutine's send on a bubble's
// channel would end the process. EventFD works as sockets do there: its Wait is
// not durably blocking.
//
// [docs/watch.md]: https://github.com/wakechan/wakechan/blob/HEAD/docs/watch.md
package chanadapter
