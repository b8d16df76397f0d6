package main

// This file holds what C threads call back: the rival that everybody writes
// first.

import "C"

import "runtime/cgo"

// callbackChannels has the channels by number. It is written before the threads
// that use it start.
var callbackChannels []chan struct{}

//export goTrySend
func goTrySend(id uint32) {
	select {
	case callbackChannels[id] <- struct{}{}:
	default:
	}
}

//export goTrySendHandle
func goTrySendHandle(h uintptr) {
	select {
	case cgo.Handle(h).Value().(chan struct{}) <- struct{}{}:
	default:
	}
}
