// Package bindings shows libraries behind Go bindings that know nothing of wakechan.
package bindings
