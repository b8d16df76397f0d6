package main

// This file checks that the figure is right, and that too low a one fails.

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFigure(t *testing.T) {
	profile := func(reached int) string {
		return fmt.Sprintf("mode: set\n%[1]snotifier/a.go:1.2,3.4 89 1\n%[1]snotifier/a.go:5.2,6.4 11 %[2]d\n"+
			"%[1]snotifier/a.go:1.2,3.4 89 0\n%[1]sexamples/x/a.go:1.2,3.4 500 0\n", module, reached)
	}
	for reached, code := range []int{1, 0} {
		blocks, err := parse(profile(reached))
		require.NoError(t, err)
		assert.Len(t, blocks, 3)
		assert.Equal(t, code, report(blocks, true), "89 of 100, and the example does not count")
	}
	_, err := parse("mode: set\nnonsense\n")
	require.Error(t, err)
}
