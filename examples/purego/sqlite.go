//go:build linux || darwin

package main

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/wakechan/wakechan/notifier"
)

// updateHook inserts rows; SQLite calls its update hook for each, on this thread. All of
// them go through one address, where purego.NewCallback has 2,000 in all.
func updateHook(rows int) (seen int, err error) {
	library, err := open("libsqlite3.so.0", "libsqlite3.dylib")
	if err != nil {
		return 0, err
	}
	var (
		openDB  func(name string, db *unsafe.Pointer) int32
		closeDB func(db unsafe.Pointer) int32
		exec    func(db unsafe.Pointer, sql string, callback, data, message unsafe.Pointer) int32
		hook    func(db, callback, data unsafe.Pointer) unsafe.Pointer
		prepare func(db unsafe.Pointer, sql string, length int32, statement, tail *unsafe.Pointer) int32
		step    func(statement unsafe.Pointer) int32
		reset   func(statement unsafe.Pointer) int32
		final   func(statement unsafe.Pointer) int32
	)
	purego.RegisterLibFunc(&openDB, library, "sqlite3_open")
	purego.RegisterLibFunc(&closeDB, library, "sqlite3_close")
	purego.RegisterLibFunc(&exec, library, "sqlite3_exec")
	purego.RegisterLibFunc(&hook, library, "sqlite3_update_hook")
	purego.RegisterLibFunc(&prepare, library, "sqlite3_prepare_v2")
	purego.RegisterLibFunc(&step, library, "sqlite3_step")
	purego.RegisterLibFunc(&reset, library, "sqlite3_reset")
	purego.RegisterLibFunc(&final, library, "sqlite3_finalize")

	// void (*)(void *data, int operation, char const *database, char const *table, sqlite3_int64 row)
	inserted, err := notifier.Callback(0)
	if err != nil {
		return 0, err
	}
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		return 0, err
	}

	var db, insert, tail unsafe.Pointer
	if code := openDB(":memory:", &db); code != 0 {
		return 0, fmt.Errorf("sqlite3_open: %d", code)
	}
	defer closeDB(db)
	if code := exec(db, "CREATE TABLE t (v)", nil, nil, nil); code != 0 {
		return 0, fmt.Errorf("sqlite3_exec: %d", code)
	}
	if code := prepare(db, "INSERT INTO t VALUES (1)", -1, &insert, &tail); code != 0 {
		return 0, fmt.Errorf("sqlite3_prepare_v2: %d", code)
	}
	defer final(insert)
	hook(db, inserted, h.Pointer())
	for range rows {
		if code := step(insert); code != 101 { // SQLITE_DONE
			return seen, fmt.Errorf("sqlite3_step: %d", code)
		}
		if n.Clear() {
			seen++
		}
		reset(insert)
	}
	return seen, nil
}
