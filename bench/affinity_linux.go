package main

import (
	"runtime"
	"syscall"
	"unsafe"
)

// onOneCore has start begin a process that stays on the last core that this one
// may use, which it inherits from the thread that starts it: a PBX shares no core
// with its client, and over loopback it might.
func onOneCore(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, last [16]uint64
	if !affinity(syscall.SYS_SCHED_GETAFFINITY, &before) {
		return start()
	}
	for i, w := range before {
		for bit := range 64 {
			if w>>bit&1 == 1 {
				last = [16]uint64{}
				last[i] = 1 << bit
			}
		}
	}
	affinity(syscall.SYS_SCHED_SETAFFINITY, &last)
	defer affinity(syscall.SYS_SCHED_SETAFFINITY, &before)
	return start()
}

func affinity(call uintptr, mask *[16]uint64) bool {
	_, _, errno := syscall.RawSyscall(call, 0, unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
	return errno == 0
}
