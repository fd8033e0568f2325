//go:build unix

package spool

import (
	"errors"
	"syscall"
)

// full tells whether room on the disk would help.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
