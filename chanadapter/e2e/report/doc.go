// Package report writes the results of the end-to-end tests as rows of a table.
package report
