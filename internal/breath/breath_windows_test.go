package breath

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// Somebody else's pipe at the number is not written to, and nobody pauses any more.
func TestPauseWritesToNobody(t *testing.T) {
	parker, err := open()
	require.NoError(t, err)
	p := parker.(*pipe)
	require.True(t, p.park())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	own := p.writer
	p.writer = windows.Handle(w.Fd())
	assert.False(t, p.park())
	require.NoError(t, w.Close())
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Empty(t, text)
	require.NoError(t, r.Close())
	require.NoError(t, windows.CloseHandle(own))
	require.NoError(t, windows.CloseHandle(p.twin))
}
