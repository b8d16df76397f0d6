// The host of a WebAssembly guest wakes a goroutine inside it:
//
//	go run -C examples/wasmhost .
//
// It builds the guest (guest/main.go, GOOS=wasip1), loads it into wazero, and ticks
// the notifier whose channel the guest's goroutine selects on.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	program, err := build(ctx, "./guest")
	if err != nil {
		return err
	}
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	guest, err := load(ctx, runtime, program, out)
	if err != nil {
		return err
	}
	handle, err := call(ctx, guest, "start")
	if err != nil {
		return err
	}
	for tick := 1; tick <= 3; tick++ {
		time.Sleep(100 * time.Millisecond) // nothing runs in the guest meanwhile
		fmt.Fprintf(out, "host:  tick %d\n", tick)
		// When the call returns, the guest's goroutine has been woken and is back
		// in its select.
		if err := notify(ctx, guest, handle, out); err != nil {
			return err
		}
	}
	if _, err := call(ctx, guest, "finish"); err != nil {
		return err
	}
	fmt.Fprintln(out, "host:  a tick too late")
	return notify(ctx, guest, handle, out)
}

// notify calls the export of package wasmexport.
func notify(ctx context.Context, guest api.Module, handle uint64, out io.Writer) error {
	code, err := call(ctx, guest, "notifier_notify", handle)
	if err == nil {
		fmt.Fprintf(out, "host:  notifier_notify returned %d\n", int32(code))
	}
	return err
}

// build compiles a package of this module for WASI, as a library: its exports
// can be called after _initialize.
func build(ctx context.Context, pkg string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasmhost-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building the guest: %w", err)
	}
	return os.ReadFile(file)
}

func load(ctx context.Context, runtime wazero.Runtime, program []byte, out io.Writer) (api.Module, error) {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, runtime); err != nil {
		return nil, err
	}
	return runtime.InstantiateWithConfig(ctx, program, wazero.NewModuleConfig().
		WithStartFunctions("_initialize").
		WithStdout(out).WithStderr(os.Stderr).
		WithSysNanotime().WithSysNanosleep().WithSysWalltime())
}

// call returns the first result of an export, if it has one.
func call(ctx context.Context, guest api.Module, name string, args ...uint64) (uint64, error) {
	export := guest.ExportedFunction(name)
	if export == nil {
		return 0, fmt.Errorf("the guest does not export %s", name)
	}
	results, err := export.Call(ctx, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}
