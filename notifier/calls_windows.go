package notifier

// This file holds the calls that make a poller on Windows: variables, since no limit
// that a test could set makes them fail.

import "golang.org/x/sys/windows"

var (
	createIoCompletionPort = windows.CreateIoCompletionPort
	duplicateHandle        = windows.DuplicateHandle
	virtualAlloc           = windows.VirtualAlloc
)
