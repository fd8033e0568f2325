package spool

import (
	"errors"
	"fmt"
)

// The causes of errors.
var (
	// ErrClosed is what every method but Close returns after Close.
	ErrClosed = errors.New("spool: closed")

	// ErrLocked is the cause of Open's *Error if another spool, of this process or
	// another one, has the directory.
	ErrLocked = errors.New("in use by another process")

	// ErrNewer is the cause of Open's *Error if a file has a format that this
	// version does not know. Nothing was changed.
	ErrNewer = errors.New("written by a newer version")

	// ErrUnacknowledged is what Read returns if half of the spool's MaxBytes was
	// read and not acknowledged. Call Ack, or Rewind.
	ErrUnacknowledged = errors.New("spool: too much was read and not acknowledged")

	// ErrNotRead is what Ack returns for a position that Read has not returned
	// since Open or Rewind.
	ErrNotRead = errors.New("spool: acknowledged before it was read")
)

// An Error reports what the file system has refused.
type Error struct {
	Op   string // "open", "lock", "read", "write", "sync", "state"
	Path string
	Err  error // ErrLocked, ErrNewer, or what the system said
}

func (e *Error) Error() string { return "spool: " + e.Op + " " + e.Path + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// A ConfigError reports a setting that Open refuses.
type ConfigError struct {
	Key    string // the field of Options
	Value  any    // what was given
	Reason string // what is allowed
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("spool: config: %s = %v: %s", e.Key, e.Value, e.Reason)
}

// A TooLargeError reports an entry that no segment can hold. Nothing of the same
// Append was taken.
type TooLargeError struct {
	Group string
	Bytes int // of the group and the data, or of the group if that alone is too long
	Max   int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("spool: an entry of %q has %d bytes, at most %d are allowed", e.Group[:min(len(e.Group), 64)], e.Bytes, e.Max)
}
