//go:build !linux

package quota

// This file stands for the systems without control groups.

import "math"

func processors() float64 { return math.Inf(1) }
