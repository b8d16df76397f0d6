//go:build e2e && linux

package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// TestEveryPacket sends packets in bursts, the next only after all before were captured.
// The reader takes a part of what is there each time, which needs OneShot.
func TestEveryPacket(t *testing.T) {
	const burst, part = 50, 8
	row := report.Row{Source: fmt.Sprintf("libpcap on lo, bursts of %d, %d at a time", burst, part), Messages: 20_000}
	if testing.Short() {
		row.Messages = 2_000
	}
	to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer to.Close()
	from, err := net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	defer from.Close()
	capture, err := Open(to.LocalAddr().(*net.UDPAddr).Port)
	if errors.Is(err, ErrDenied) {
		testenv.Missing(t, "pcap", err.Error())
	}
	require.NoError(t, err)
	defer capture.Close()
	w, err := chanadapter.Watch(capture.FD(), chanadapter.OneShot())
	require.NoError(t, err)
	defer w.Close()

	before := report.CPU(t)
	numbers := make([]uint64, part)
	lost := time.NewTimer(6 * testenv.Patience())
	defer lost.Stop()
	for seen := 0; seen < row.Messages; {
		var sent [burst]time.Time
		for i := range sent {
			sent[i] = time.Now()
			_, err := from.Write(binary.NativeEndian.AppendUint64(nil, uint64(seen+i)))
			require.NoError(t, err)
		}
		for end := seen + burst; seen < end; {
			select {
			case <-w.C():
			case <-lost.C:
				require.FailNow(t, "a wake-up was lost", "%d packets of %d were captured, %d dropped", seen, end, capture.Dropped())
			}
			row.Wakeups++
			n, err := capture.Take(numbers)
			require.NoError(t, err)
			for _, number := range numbers[:n] {
				require.EqualValues(t, seen, number, "in order, and each once")
				row.Wake = append(row.Wake, time.Since(sent[seen%burst]))
				seen++
			}
			require.NoError(t, w.Rearm())
		}
	}
	row.CPU, row.Threads = report.CPU(t)-before, fmt.Sprint(report.Threads(t))
	require.Zero(t, capture.Dropped())
	row.Write(t)
}
