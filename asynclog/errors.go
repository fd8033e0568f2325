package asynclog

import (
	"errors"
	"fmt"
)

// ErrClosed is what Handle returns once Close was called. The record is lost and
// counted.
var ErrClosed = errors.New("asynclog: closed")

// errGoexit stands in Stats.LastError for a sink that ended the goroutine.
var errGoexit = errors.New("asynclog: the sink called runtime.Goexit")

// A ConfigError reports a setting that New refuses. Nothing was started.
type ConfigError struct {
	Key    string // the option without With, or "Sink"
	Value  any    // what was given
	Reason string // what is wrong and what is allowed
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("asynclog: config: %s = %v: %s", e.Key, e.Value, e.Reason)
}

// A PanicError is what a panic of the sink is in Stats.LastError.
type PanicError struct {
	Value any // what was panicked with
}

func (e *PanicError) Error() string { return fmt.Sprintf("asynclog: the sink panicked: %v", e.Value) }

// A DeadlineError reports that the context of Flush or Close ended before the
// queue was empty.
type DeadlineError struct {
	Op    string // "flush" or "close"
	Left  int    // records that were not with the sink yet; Close has dropped and counted them
	Stuck bool   // the sink had not returned from a call
	Err   error  // the cause of the context's end
}

func (e *DeadlineError) Error() string {
	stuck := ""
	if e.Stuck {
		stuck = ", the sink does not return"
	}
	return fmt.Sprintf("asynclog: %s: %d records left%s: %v", e.Op, e.Left, stuck, e.Err)
}

// Unwrap returns Err.
func (e *DeadlineError) Unwrap() error { return e.Err }
