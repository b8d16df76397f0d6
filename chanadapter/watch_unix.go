//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package chanadapter

// This file holds the bits of poll(2).

import "golang.org/x/sys/unix"

var pollBits = []struct {
	event Events
	bit   int16
}{
	{EventRead, unix.POLLIN},
	{EventWrite, unix.POLLOUT},
	{EventPriority, unix.POLLPRI},
	{EventHangUp, unix.POLLHUP},
	{EventError, unix.POLLERR},
}

const pollInvalid = unix.POLLNVAL
