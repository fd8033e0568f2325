package asynclog

import (
	"fmt"
	"time"
)

// Bounds of the options.
const (
	defaultCapacity, minCapacity, maxCapacity = 4096, 1, 1 << 20

	defaultInterval = 10 * time.Second
	minInterval     = 100 * time.Millisecond
	maxInterval     = 24 * time.Hour
)

// An Option changes a setting of New.
type Option func(*config)

type config struct {
	capacity int
	interval time.Duration
}

// WithCapacity bounds the queue, in records, besides the one that the sink has
// in hand. Default 4096; 1 to 1048576. The queue takes memory as it fills, about
// 320 bytes for each record and what that refers to, and gives it back.
func WithCapacity(records int) Option { return func(c *config) { c.capacity = records } }

// WithWarnInterval sets how long it takes at least from one warning about losses
// to the next one for the same reason. Default 10 s; 100 ms to 24 h.
func WithWarnInterval(d time.Duration) Option { return func(c *config) { c.interval = d } }

func (c *config) check() error {
	if c.capacity < minCapacity || c.capacity > maxCapacity {
		return &ConfigError{Key: "Capacity", Value: c.capacity, Reason: fmt.Sprintf("must be %d to %d records", minCapacity, maxCapacity)}
	}
	if c.interval < minInterval || c.interval > maxInterval {
		return &ConfigError{Key: "WarnInterval", Value: c.interval, Reason: fmt.Sprintf("must be %v to %v", minInterval, maxInterval)}
	}
	return nil
}
