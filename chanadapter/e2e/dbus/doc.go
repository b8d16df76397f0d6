// Package dbus drives connections of libdbus by a chanadapter.Group, against a bus of its
// own. libdbus has two watches for each socket, one to read and one to write. The package
// needs the build tag e2e, cgo, libdbus and dbus-daemon (Debian: libdbus-1-dev,
// dbus-daemon).
package dbus
