//go:build darwin || dragonfly || freebsd || openbsd

package chanadapter

// This file holds a number that package unix lacks for NetBSD.

import "golang.org/x/sys/unix"

const evDispatch = unix.EV_DISPATCH
