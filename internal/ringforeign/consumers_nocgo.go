//go:build !cgo

package ringforeign

// This file is consumers.go's twin for builds without cgo: it compiles.

// OutReadNow panics: Available is false.
func OutReadNow(uint64, []byte) int { panic(missing) }

// OutPeekNow panics: Available is false.
func OutPeekNow(uint64) []byte { panic(missing) }

// OutDoneNow panics: Available is false.
func OutDoneNow(uint64) { panic(missing) }

// Consumer cannot be made: Available is false.
type Consumer struct{}

// Start panics: Available is false.
func (ConsumerSpec) Start() *Consumer { panic(missing) }

// Interrupt panics: Available is false.
func (*Consumer) Interrupt(int) { panic(missing) }

// Stop panics: Available is false.
func (*Consumer) Stop() (thread, handler ConsumerResults) { panic(missing) }
