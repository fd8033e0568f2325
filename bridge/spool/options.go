package spool

import (
	"fmt"
	"log/slog"
	"os"
	"time"
)

// Bounds of the options.
const (
	defaultMaxBytes     = 1 << 30
	defaultSegmentBytes = 16 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 64 << 20
	segmentsAtLeast     = 4 // that MaxBytes must hold
	defaultMemoryBytes  = 32 << 20
	minMemoryBytes      = 4 << 10
	defaultSync         = time.Second
	minSync, maxSync    = 10 * time.Millisecond, time.Minute
)

// Options are the settings of a Spool. The zero Options are the defaults.
type Options struct {
	// MaxBytes bounds the segments on disk together. Default 1 GiB, at least four
	// segments.
	MaxBytes int64

	// SegmentBytes bounds one file, which is dropped as a whole, and with it an
	// entry. Default 16 MiB, or an eighth of MaxBytes if that is less; 4 KiB to
	// 64 MiB. A reader that is behind has one segment in memory.
	SegmentBytes int64

	// MemoryBytes bounds the entries that the disk has refused. Default 32 MiB; at
	// least 4 KiB.
	MemoryBytes int64

	// Sync is how often what was appended is forced to the disk, beside the
	// appends. Default 1 s; 10 ms to 1 min.
	Sync time.Duration

	// Logger gets records of damage, of drops, and of a disk that fails and is well
	// again. Default: none.
	Logger *slog.Logger

	write func(*os.File, []byte) (int, error) // of segments; tests make it fail
}

// checked returns o with its defaults.
func (o Options) checked() (Options, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(defaultSegmentBytes, o.MaxBytes/8)
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	if o.Sync == 0 {
		o.Sync = defaultSync
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.write == nil {
		o.write = (*os.File).Write
	}
	switch {
	case o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes:
		return o, &ConfigError{Key: "SegmentBytes", Value: o.SegmentBytes, Reason: fmt.Sprintf("must be %d to %d", minSegmentBytes, maxSegmentBytes)}
	case o.MaxBytes/segmentsAtLeast < o.SegmentBytes:
		return o, &ConfigError{Key: "MaxBytes", Value: o.MaxBytes, Reason: fmt.Sprintf("must be at least %d segments of %d bytes", segmentsAtLeast, o.SegmentBytes)}
	case o.MemoryBytes < minMemoryBytes:
		return o, &ConfigError{Key: "MemoryBytes", Value: o.MemoryBytes, Reason: fmt.Sprintf("must be at least %d", minMemoryBytes)}
	case o.Sync < minSync || o.Sync > maxSync:
		return o, &ConfigError{Key: "Sync", Value: o.Sync, Reason: fmt.Sprintf("must be %v to %v", minSync, maxSync)}
	}
	return o, nil
}
