package ami_test

import (
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// onOneCore has start begin a process that stays on the last core that this one
// may use. It inherits that from the thread that starts it.
//
// A PBX does not share its core with its client. Over loopback it may: then the
// client's thread and the server's take turns on one core without waking
// another, as long as the client has a single goroutine, and what is measured is
// where the kernel happened to put them.
func onOneCore(b *testing.B, start func() error) {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, last [16]uint64
	affinity(b, syscall.SYS_SCHED_GETAFFINITY, &before)
	for i, w := range before {
		for bit := range 64 {
			if w>>bit&1 == 1 {
				last = [16]uint64{}
				last[i] = 1 << bit
			}
		}
	}
	affinity(b, syscall.SYS_SCHED_SETAFFINITY, &last)
	err := start()
	affinity(b, syscall.SYS_SCHED_SETAFFINITY, &before)
	require.NoError(b, err)
}

func affinity(b *testing.B, call uintptr, mask *[16]uint64) {
	b.Helper()
	_, _, errno := syscall.RawSyscall(call, 0, unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
	require.Zero(b, errno)
}
