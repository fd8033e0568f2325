package action

import (
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// WaitEvent holds the session until an event is queued for it or the timeout
// ends (main/manager.c:action_waitevent). It exists for the HTTP interface: here
// subscriptions do better, and nothing else is answered meanwhile.
type WaitEvent struct {
	Timeout time.Duration // whole seconds; 0 returns at once
}

// Name implements Action.
func (WaitEvent) Name() string { return "WaitEvent" }

// AppendFields implements Action.
func (a WaitEvent) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "WaitEvent", dst: dst}
	f.requiredDuration("Timeout", a.Timeout, time.Second)
	return f.done()
}

// Strategy implements Action.
func (a WaitEvent) Strategy() strategy.Strategy {
	s := strategy.ListOf("WaitEventComplete")
	s.Unannounced, s.Blocking, s.Timeout = true, true, a.Timeout+answerMargin
	return s
}

// Decode implements Typed. The events are those that were queued for the session;
// they carry a Privilege header and so are no items of the answer: subscriptions
// have them.
func (WaitEvent) Decode(a Answer) Success { return Success{a} }

// answerMargin is what the answer of a blocking action may take beyond the
// time for which it blocks.
const answerMargin = 10 * time.Second
