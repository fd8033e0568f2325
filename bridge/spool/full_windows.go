package spool

import (
	"errors"
	"syscall"
)

const errorDiskFull = syscall.Errno(112) // ERROR_DISK_FULL

// full tells whether room on the disk would help.
func full(err error) bool { return errors.Is(err, errorDiskFull) }
