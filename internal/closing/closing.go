// Package closing holds what each public package's ErrClosed is, and the channel
// that Done returns once something has ended.
package closing

import "os"

// Error is the ErrClosed of the package that it names. errors.Is matches it with
// os.ErrClosed.
type Error string

func (e Error) Error() string { return string(e) + ": closed" }

// Is reports whether target is os.ErrClosed.
func (Error) Is(target error) bool { return target == os.ErrClosed }

// Done is closed.
var Done <-chan struct{} = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// Renamed returns to in place of another package's ErrClosed, and any other error as
// it is. It is for what a lower package's Err says: an error that a caller passed in,
// such as a context's cause, may be an ErrClosed too and must stay that.
func Renamed(err, to error) error {
	if _, closed := err.(Error); closed {
		return to
	}
	return err
}
