// Package curl drives libcurl's multi_socket interface by a chanadapter.Group. It needs
// the build tag e2e, cgo and libcurl (Debian: libcurl4-openssl-dev).
package curl
