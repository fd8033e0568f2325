package correlate

import (
	"strings"
	"time"

	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// A Pending is one action that waits for its answer. It ends exactly once, by
// a frame, a time limit, its caller or its session; then done is closed and
// its fields no longer change.
type Pending struct {
	conn.Out // its bytes, and whether they were sent

	// Set before Add, immutable.
	ID       string
	Strategy strategy.Strategy
	// Epoch is the number of the session by which the action leaves.
	Epoch uint64
	// Events, if not 0, is that of the session on which the event comes that
	// completes the action.
	Events uint64
	// Deadline is when the table ends the action with the cause
	// context.DeadlineExceeded. The zero time means never.
	Deadline time.Time
	// OnEnd, if set, is called once, by the goroutine that ends the action. It
	// must not block.
	OnEnd func(*Pending)
	// More, if set, gets a signal when items have come. It has one slot.
	More chan struct{}

	sequence uint64

	lane *Lane // set by Add

	// Guarded by the table until done is closed.
	progress strategy.Progress
	slot     int            // in Table.deadlines; -1 without a Deadline
	Response *frame.Frame   // the latest, or the Error if there was one
	Items    []*frame.Frame // events and texts of the answer, without End
	End      *frame.Frame   // the event that completed it
	Accepted time.Time      // when the Response of a strategy.Async came; zero if it was an Error
	open     bool           // in Lane.lists
	ghost    bool           // in Table.ghosts

	// Written by finish.
	Sent    bool // bytes may have reached Asterisk
	Verdict strategy.Verdict
	Cause   error // why it did not complete; nil if frames decided it
	done    chan struct{}
}

// Done is closed when the action has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// take stores a frame of the answer. The caller holds the table's lock.
func (p *Pending) take(f *frame.Frame, v strategy.Verdict) {
	switch {
	case v == strategy.Overflow:
	case f.Kind() == frame.Response:
		if p.Response == nil || !strings.EqualFold(p.Response.Name(), "Error") {
			p.Response = f
		}
		if p.Strategy.Kind == strategy.Async && v != strategy.Refused {
			p.Accepted = time.Now()
		}
	case v > strategy.Keep:
		p.End = f
	default:
		if p.Strategy.Kind == strategy.Async {
			p.End = f // it overtook the Response
			return
		}
		p.Items = append(p.Items, f)
	}
}

// finish ends the action. Only who removed it from the table calls it.
func (p *Pending) finish(v strategy.Verdict, cause error) {
	p.Verdict, p.Cause = v, cause
	// From here on either the writer has it or nobody ever will.
	p.Sent = !p.Revoke()
	close(p.done)
	if p.OnEnd != nil {
		p.OnEnd(p)
	}
}

func (p *Pending) signal() {
	if p.More == nil {
		return
	}
	select {
	case p.More <- struct{}{}:
	default: // told already
	}
}
