//go:build gc && (linux || darwin) && (amd64 || arm64)

package notifier

// This file is callback_windows.go's twin: nothing has to be looked up.

func prepareCallbacks() error { return nil }
