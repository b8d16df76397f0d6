package forked

// From sys/mman.h.
const (
	inheritNone = 2 // MAP_INHERIT_NONE
	inheritZero = 4 // MAP_INHERIT_ZERO
)
