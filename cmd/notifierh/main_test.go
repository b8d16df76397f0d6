package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
	"github.com/wakechan/wakechan/notifier"
	"github.com/wakechan/wakechan/ring"
)

func TestPrintsHeader(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(nil, &out, &errs))
	assert.Equal(t, notifier.Header(), out.String())
	assert.Empty(t, errs.String())
}

func TestWritesHeaders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "include")
	paths := []string{filepath.Join(dir, "notifier.h"), filepath.Join(dir, "ring.h")}
	var out, errs bytes.Buffer
	require.Zero(t, run([]string{"-o", dir}, &out, &errs))
	assert.Equal(t, paths[0]+"\n"+paths[1]+"\n", out.String())
	assert.Empty(t, errs.String())
	assertHeader(t, paths[0], notifier.Header())
	assertHeader(t, paths[1], ring.Header())

	// Again: an unchanged file is left alone, another text is replaced.
	old := time.Unix(1_000_000_000, 0)
	for _, path := range paths {
		require.NoError(t, os.Chtimes(path, old, old))
	}
	require.Zero(t, run([]string{"-o", dir}, &out, &errs))
	for _, path := range paths {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.True(t, info.ModTime().Equal(old), "an unchanged header was written anew")
	}

	require.NoError(t, os.WriteFile(paths[1], []byte("an older version"), 0o666))
	require.Zero(t, run([]string{"-o", dir}, &out, &errs))
	assertHeader(t, paths[1], ring.Header())
}

func assertHeader(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, want, string(text))
}

func TestSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	inTheWay := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(inTheWay, "notifier.h"), 0o777))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"directory is a file", []string{"-o", file}, 1, file},
		{"header is a directory", []string{"-o", inTheWay}, 1, "notifier.h"},
		{"unknown flag", []string{"-x"}, 2, "usage: notifierh"},
		{"argument", []string{"dir"}, 2, `unexpected argument "dir"`},
		{"help", []string{"-h"}, 0, "usage: notifierh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			assert.Equal(t, c.code, run(c.args, &out, &errs))
			assert.Empty(t, out.String())
			assert.Contains(t, errs.String(), c.says)
		})
	}
}

// full is an output that takes nothing, like a pipe whose reader has gone.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputFails(t *testing.T) {
	for _, args := range [][]string{nil, {"-o", t.TempDir()}} {
		var errs bytes.Buffer
		assert.Equal(t, 1, run(args, full{}, &errs))
		assert.Contains(t, errs.String(), "no space left")
	}
}
