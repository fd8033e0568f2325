package ami

import (
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/apn/ami/internal/redact"
)

// panics counts those in code of the user, which stay where they happen. The
// first is news and is logged with its stack, the rest are a number.
type panics struct{ count atomic.Uint64 }

// first counts a panic and reports whether it is to be logged.
func (p *panics) first() bool { return p.count.Add(1) == 1 }

// A panicError is a panic in code of the user as an error.
type panicError struct {
	what  string // see redact.Panic
	stack string
	told  atomic.Bool // it was counted; one error may come to several lanes
}

func (e *panicError) Error() string { return "the callback panicked: " + e.what }

// caught makes an error of what recover has returned. It is to be called by who
// calls recover, for the sake of the stack.
func caught(v any) *panicError {
	return &panicError{what: redact.Panic(v), stack: string(debug.Stack())}
}

// errEnded is the error of a callback that calls runtime.Goexit.
var errEnded = errors.New("the callback ended its goroutine")

// guarded calls code of the user.
func guarded[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = caught(p)
		}
	}()
	return f()
}

// panicked counts the panic that err tells of, if it does, and has the first one
// logged. step is that of the attempt. The supervisor calls it.
func (l *lane) panicked(step string, err error) {
	e, ok := errors.AsType[*panicError](err)
	if ok && e.told.CompareAndSwap(false, true) && l.client.count.callbackPanics.first() {
		l.log.Error(msgCallback, attrStep, step, attrPanic, e.what, attrStack, e.stack)
	}
}
