//go:build linux && amd64 && !wakechan_fakelibc

package notifier

// This file holds what a program pays for the C functions in its text: little, and
// nothing if it uses none.

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sizeProgram = `package main

import "github.com/wakechan/wakechan/notifier"

func main() {
	n := notifier.New()
	h, err := n.Handle()
	println(h, err)
	USE
	<-n.C()
	n.Close()
}
`

const sizeUse = `
	f, err := notifier.NotifyFunc()
	println(f, err)
	f, err = notifier.Callback(1, notifier.Returns(1), notifier.Indirect())
	println(f, err, h.Pointer())
	f, err = n.Bind(notifier.Returns(1))
	println(f, err)
`

func TestCallbackText(t *testing.T) {
	needBuilds(t)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, target := range []string{"linux/amd64", "linux/arm64", "windows/amd64", "darwin/amd64", "darwin/arm64"} {
		t.Run(target, func(t *testing.T) {
			with, names := textOf(t, root, target, strings.Replace(sizeProgram, "USE", sizeUse, 1))
			assert.True(t, strings.Contains(names, "notifySteps"))
			without, names := textOf(t, root, target, strings.Replace(sizeProgram, "USE", "", 1))
			for _, name := range []string{"notifySteps", "cNotify", "cCallbacks", " cBounds", "boundSlots", "notifyEntry", "callbackOptions"} {
				assert.False(t, strings.Contains(names, name), "a program that uses none of it has %s", name)
			}
			t.Logf("%d bytes of text more", with-without)
			assert.Less(t, with-without, 8<<10)
		})
	}
}

// textOf links a program and returns the size of its text, and its symbols.
func textOf(t *testing.T, root, target, text string) (size int, names string) {
	t.Helper()
	source, program := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(source, []byte(text), 0o666))
	system, processor, _ := strings.Cut(target, "/")
	build := exec.Command("go", "build", "-o", program, source)
	build.Dir = root
	build.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	symbols, err := exec.Command("go", "tool", "nm", program).Output()
	require.NoError(t, err)
	switch system {
	case "windows":
		f, err := pe.Open(program)
		require.NoError(t, err)
		defer f.Close()
		return int(f.Section(".text").VirtualSize), string(symbols)
	case "darwin":
		f, err := macho.Open(program)
		require.NoError(t, err)
		defer f.Close()
		return int(f.Section("__text").Size), string(symbols)
	default:
		f, err := elf.Open(program)
		require.NoError(t, err)
		defer f.Close()
		return int(f.Section(".text").Size), string(symbols)
	}
}
