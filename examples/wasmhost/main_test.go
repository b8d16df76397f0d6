package main

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), &out))
	assert.Equal(t, `host:  tick 1
guest:   wake-up 1
host:  notifier_notify returned 0
host:  tick 2
guest:   wake-up 2
host:  notifier_notify returned 0
host:  tick 3
guest:   wake-up 3
host:  notifier_notify returned 0
guest:   closing
host:  a tick too late
host:  notifier_notify returned -1
`, out.String())
}

// The rest is package wasmexport's: it can only be tested by a host.

var program = sync.OnceValues(func() ([]byte, error) {
	return build(context.Background(), "./testdata/guest")
})

var compiled = wazero.NewCompilationCache()

// guest is an instance of testdata/guest; during its export nested onCall is called.
type guest struct {
	*testing.T
	module api.Module
	onCall func()
}

func start(t *testing.T) *guest {
	t.Helper()
	ctx := context.Background()
	code, err := program()
	require.NoError(t, err)
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled))
	t.Cleanup(func() { runtime.Close(ctx) })
	g := &guest{T: t}
	_, err = runtime.NewHostModuleBuilder("host").NewFunctionBuilder().
		WithFunc(func() { g.onCall() }).Export("call").Instantiate(ctx)
	require.NoError(t, err)
	g.module, err = load(ctx, runtime, code, io.Discard)
	require.NoError(t, err)
	return g
}

func (g *guest) call(name string, args ...uint64) uint64 {
	g.Helper()
	result, err := call(context.Background(), g.module, name, args...)
	require.NoError(g, err)
	return result
}

func (g *guest) notify(handle uint64) int32 {
	g.Helper()
	return int32(g.call("notifier_notify", handle))
}

// Each call returns after the receiver ran: far more often than the scheduler's
// 61 rounds, also at the end of a chain of goroutines, also among busy ones.
func TestReceivedWhenTheCallReturns(t *testing.T) {
	g := start(t)
	h := g.call("open")
	g.call("receive", 10)
	for _, busy := range []uint64{0, 5} {
		g.call("busy", busy)
		from := g.call("end")
		for i := range uint64(500) {
			require.Zero(t, g.notify(h))
			require.Equal(t, from+i+1, g.call("count"))
			require.Equal(t, from+i+1, g.call("end"))
		}
	}
	require.Zero(t, g.call("linger"), "a poller that is still up when the call returns does no good")
}

func TestNotifyFirst(t *testing.T) {
	g := start(t)
	h := g.call("open")
	for range 5 {
		require.Zero(t, g.notify(h))
	}
	g.call("receive", 0)
	require.EqualValues(t, 1, g.call("count"), "kept, and coalesced")
	require.Zero(t, g.notify(h))
	require.EqualValues(t, 2, g.call("count"))
}

func TestCodes(t *testing.T) {
	g := start(t)
	require.EqualValues(t, -2, g.notify(0))
	require.EqualValues(t, -2, g.notify(1<<63|1))
	h := g.call("open")
	g.call("receive", 0)
	require.EqualValues(t, 0, g.notify(h))
	g.call("shut")
	for range 3 {
		require.EqualValues(t, -1, g.notify(h))
	}
	require.EqualValues(t, 1, g.call("count"))
}

// The host may notify from inside a function that the guest called.
func TestNotifyDuringAnImport(t *testing.T) {
	g := start(t)
	h := g.call("open")
	g.call("receive", 0)
	for i := range uint64(100) {
		g.onCall = func() { require.Zero(t, g.notify(h)) }
		require.Equal(t, i+1, g.call("nested"))
	}
}

// A handle costs the guest's linear memory 4 MiB and not more.
func TestMemory(t *testing.T) {
	g := start(t)
	before := g.module.Memory().Size()
	g.call("open")
	require.LessOrEqual(t, g.module.Memory().Size()-before, uint32(5<<20))
}
