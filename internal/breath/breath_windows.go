package breath

// This file holds Windows' pause: the goroutine reads from a pipe of its own, which is
// empty, and waits in the runtime's completion port until another goroutine, which runs
// when this one does not, has written to it. time.Sleep would not do: its shortest is
// half a millisecond.

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// every is more than elsewhere, since a pause takes three system calls.
const every = 50 * time.Microsecond

// pipe has the two ends of a pipe that is read by overlapped calls, which os.NewFile
// leaves to the runtime's completion port.
type pipe struct {
	reader *os.File
	ends   [2]windows.Handle // reader's, and the one that is written to
	twins  [2]windows.Handle // the same objects: see same
	turn   func()            // write, allocated once, as what is written and read
	in     [1]byte
	out    [1]byte
}

func open() (parker, error) {
	name, err := windows.UTF16PtrFromString(fmt.Sprintf(`\\.\pipe\wakechan-breath-%d-%x`, os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		return nil, err
	}
	const size = 16
	reader, err := windows.CreateNamedPipe(name, windows.PIPE_ACCESS_INBOUND|windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_FIRST_PIPE_INSTANCE,
		windows.PIPE_TYPE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, 1, size, size, 0, nil)
	if err != nil {
		return nil, err
	}
	writer, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		_ = windows.CloseHandle(reader)
		return nil, err
	}
	p := &pipe{ends: [2]windows.Handle{reader, writer}}
	self := windows.CurrentProcess()
	for i, h := range p.ends {
		if err := windows.DuplicateHandle(self, h, self, &p.twins[i], 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
			_ = windows.CloseHandle(p.twins[0]) // or 0, which is none
			_ = windows.CloseHandle(writer)
			_ = windows.CloseHandle(reader)
			return nil, err
		}
	}
	p.reader = os.NewFile(uintptr(reader), "breath")
	p.turn = p.write
	return p, nil
}

func (p *pipe) park() bool {
	if p.same(0) != nil {
		return false
	}
	go p.turn()
	_, err := p.reader.Read(p.in[:])
	return err == nil
}

// write fails when somebody has closed the handle. Then the reader ends.
func (p *pipe) write() {
	var n uint32
	if err := p.same(1); err != nil {
		_ = p.reader.Close()
	} else if err := windows.WriteFile(p.ends[1], p.out[:], &n, nil); err != nil || n != 1 {
		_ = p.reader.Close()
	}
}

var compareObjectHandles = windows.NewLazySystemDLL("kernelbase.dll").NewProc("CompareObjectHandles")

// same fails when the number of that end names somebody else's object by now, which must
// be neither read nor written to.
func (p *pipe) same(end int) error {
	if err := compareObjectHandles.Find(); err != nil {
		return err
	}
	if same, _, _ := syscall.SyscallN(compareObjectHandles.Addr(), uintptr(p.ends[end]), uintptr(p.twins[end])); same == 0 {
		return windows.ERROR_INVALID_HANDLE
	}
	return nil
}
