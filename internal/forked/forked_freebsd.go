package forked

// From sys/mman.h.
const (
	inheritNone = 2 // INHERIT_NONE
	inheritZero = 3 // INHERIT_ZERO
)
