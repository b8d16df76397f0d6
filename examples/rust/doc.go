// Command rust shows a library in Rust waking a goroutine: engine.rs has the
// threads, notifier.rs what stands for notifier.h.
//
//	cd examples/rust && go generate && go run -tags rust .
package main

// It stands here since go generate passes over files that a build tag leaves out,
// and is called without the tag.
//
//go:generate rustc --edition 2021 -O --crate-type staticlib -o libengine.a engine.rs
