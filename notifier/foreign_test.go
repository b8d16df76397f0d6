package notifier

// This file holds the check that foreign threads run the present notifier.h.

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wakechan/wakechan/internal/foreign"
)

// The go command does not see that internal/foreign includes notifier.h, and
// would go on using what it compiled before.
func TestForeignThreadsRunThisHeader(t *testing.T) {
	assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(Header))), foreign.HeaderSum,
		"notifier.h has changed: put its new sum into internal/foreign/foreign.go, which compiles that package again")
}
