// Package e2e tries package chanadapter against real event sources. The tests in
// this directory need nothing but Linux. Those in its subdirectories need a C
// library each and are behind the build tag e2e:
//
//	go test -tags e2e ./chanadapter/e2e/...
//
// With the environment variable E2E_TABLE each test appends its results to that
// file, as a row of the table in docs/watch.md.
package e2e
