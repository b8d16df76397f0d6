// Command rustring shows a library in Rust handing records to a goroutine:
// engine.rs has the threads, ring.rs what stands for ring.h.
//
//	cd examples/rustring && go generate && go run -tags rust .
package main

// It stands here since go generate passes over files that a build tag leaves out,
// and is called without the tag.
//
//go:generate rustc --edition 2021 -O --crate-type staticlib -o libringengine.a engine.rs
