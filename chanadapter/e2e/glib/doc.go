// Package glib drives a GMainContext by a chanadapter.Group: the descriptors are those
// that g_main_context_query names before each wait. It needs the build tag e2e, cgo and
// GLib (Debian: libglib2.0-dev).
package glib
