// Package uv tries a libuv loop in both directions: on a thread of its own, where
// its callbacks notify Go by handle, and run by a goroutine that watches
// uv_backend_fd. It needs the build tag e2e, cgo and libuv (Debian: libuv1-dev).
package uv
