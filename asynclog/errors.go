package asynclog

import (
	"errors"
	"fmt"
	"io"

	"github.com/apn/ami/internal/redact"
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

// A PanicError is what a panic of the sink is in Stats.LastError. It prints, logs and
// marshals as its text, which has the type of Value alone, or the text of a runtime
// error: a sink may panic with the record in its hand.
type PanicError struct {
	Value any // what was panicked with
}

func (e *PanicError) Error() string { return "asynclog: the sink panicked: " + redact.Panic(e.Value) }

// Format makes every verb print what Error returns.
func (e *PanicError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// MarshalText returns what Error returns, for JSON and YAML.
func (e *PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// A sinkError is an error of the sink with a text that may be shown: that of a log
// server may have its address, token and all. Its other forms hold nothing else.
type sinkError struct {
	text string
	err  error
}

func (e *sinkError) Error() string                { return e.text }
func (e *sinkError) Unwrap() error                { return e.err }
func (e *sinkError) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, e.text) }
func (e *sinkError) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// policy hides secrets in what the sink says.
var policy = func() *redact.Policy {
	p, err := redact.New(redact.Rules{})
	if err != nil {
		panic(err) // there are no rules
	}
	return p
}()

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
