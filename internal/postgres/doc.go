// Package postgres starts a PostgreSQL server of its own, for tests and an example.
package postgres

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
)

// ErrMissing is returned by Start where PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed (initdb, pg_ctl; Debian: postgresql)")

// Installed tells whether the programs are there that Start needs.
func Installed() bool { return tool("initdb") != "" && tool("pg_ctl") != "" }

// tool finds a program of PostgreSQL, which Debian keeps out of PATH. Of several
// versions it takes the last.
func tool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}
