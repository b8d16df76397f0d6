// Package zmq tries chanadapter.Watch on a libzmq socket's ZMQ_FD. It needs the
// build tag e2e, cgo and libzmq (Debian: libzmq3-dev).
package zmq
