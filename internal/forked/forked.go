// Package forked says what a forked child has of its parent's memory.
//
// Zero makes it see zeros, Drop nothing at all: an access is a fault there. Each
// gives an error if the system cannot do that, or does not do as it says. For a
// memory's whole life, and for grandchildren too; whole pages.
package forked
