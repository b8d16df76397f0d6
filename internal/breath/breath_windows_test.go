package breath

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// Somebody else's pipe at a number is neither read nor written to, and nobody pauses any
// more.
func TestPauseLeavesOthersAlone(t *testing.T) {
	for end, name := range []string{"reader", "writer"} {
		t.Run(name, func(t *testing.T) {
			parker, err := open()
			require.NoError(t, err)
			p := parker.(*pipe)
			require.True(t, p.park())
			r, w, err := os.Pipe()
			require.NoError(t, err)
			own := p.ends[end]
			p.ends[end] = windows.Handle([]*os.File{r, w}[end].Fd())
			assert.False(t, p.park())
			require.NoError(t, w.Close())
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			assert.Empty(t, text)
			require.NoError(t, r.Close())
			p.ends[end] = own
			_ = p.reader.Close() // or it is closed already
			for _, h := range append(p.twins[:], p.ends[1]) {
				require.NoError(t, windows.CloseHandle(h))
			}
		})
	}
}
