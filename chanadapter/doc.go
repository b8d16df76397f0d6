// Package chanadapter turns other people's event sources into channels: a
// descriptor or Windows handle that somebody else owns, an eventfd that the kernel
// signals, the end of a process, a timer that counts while the machine sleeps; and
// a Ring, which brings records from foreign threads, not only a wake-up. The
// goroutine just selects, as on a notifier.Notifier:
//
//	w, err := chanadapter.Watch(fd)   // ZMQ_FD, pidfd, inotify, a library's socket, …
//	defer w.Close()
//	drain()                           // what was there before is announced too
//	for {
//		select {
//		case <-w.C():
//			drain()               // until it would block
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
//
// # Conventions
//
// They are package notifier's. C has room for one token and is never closed:
// any number of events before a receive leave one token, and none is lost. Done
// is closed when no more tokens come, and Err says why: ErrClosed after Close,
// or what broke. Close may be called again, and from several goroutines. All
// methods are safe from any goroutine at any time, but for those that read a Ring,
// which has one reader, and for Push and Reserve of one that was made
// WithSingleProducer, which has one producer at a time; on a nil or zero value C
// panics and everything else answers as after Close.
//
// # Who owns what
//
// Watch never reads, writes, closes or changes the flags of the descriptor. Once
// Close has returned the library does not touch it any more, so that its owner can
// close it right after. Close first, then the
// owner: an owner that closes it earlier does no harm, but the kernel does not
// tell, and what had been watched falls silent.
//
// # Cost
//
// All watches share one goroutine and one epoll set, kqueue or completion port,
// made by the first Watch and gone after the last Close. A watch has no
// descriptor, goroutine or thread of its own. On Linux the goroutine itself is parked in the runtime's
// network poller and blocks no thread either.
//
// # Systems
//
//   - Linux: anything that epoll takes, so no regular files and directories.
//   - macOS, FreeBSD, DragonFly, NetBSD, OpenBSD: anything that kqueue takes.
//     The goroutine blocks one thread, for all watches. With Level and both
//     directions each direction has a token of its own.
//   - Windows: waitable handles (events, processes, semaphores, timers), any
//     number of them, with SYNCHRONIZE access. The goroutine blocks one thread.
//     A wait takes away the signal of an auto-reset event or a semaphore: each
//     is a token, and is gone for others who wait. Whatever stays signalled (a
//     manual-reset event, a process, any timer) gives one token and is then
//     watched again after Rearm, as with Level. A watch has a duplicate of the
//     handle, so the object lives at least until Close.
//   - Elsewhere Watch returns an error that matches errors.ErrUnsupported.
//
// EventFD and Timer are for Linux, where they come from, Process for Linux and
// Windows. A Ring is for every system; foreign threads need one on which package
// notifier has a doorbell, and hosts of WASI guests package ringexport.
//
// # testing/synctest
//
// Watch gives an error inside a bubble: its goroutine's send on a bubble's
// channel would end the process. EventFD works as sockets do there: its Wait is
// not durably blocking.
package chanadapter
