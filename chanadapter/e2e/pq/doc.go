// Package pq drives libpq's asynchronous connections by a chanadapter.Group, against a
// PostgreSQL server of its own. It needs the build tag e2e, cgo, libpq and PostgreSQL
// (Debian: libpq-dev, postgresql).
package pq
