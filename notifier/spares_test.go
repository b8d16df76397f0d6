package notifier

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Any number of notifiers from outside of a bubble can be waited for inside.
func TestManyDonesInABubble(t *testing.T) {
	list := make([]*Notifier, 5*cap(spares))
	for i := range list {
		list[i] = New()
	}
	synctest.Test(t, func(*testing.T) {
		for _, n := range list {
			n.Done()
		}
	})
	for _, n := range list {
		require.NoError(t, n.Close()) // from outside, which a bubble's channel would not survive
		<-n.Done()
	}
}
