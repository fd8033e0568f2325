package ami

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/eventset"
	"github.com/apn/ami/strategy"
)

// A demand keeps Asterisk sending what the subscriptions to a node want and
// little else, by the event mask of the session and by filters; see
// WithEventsOnDemand. Both only ever let more through while the session lives: a
// filter cannot be taken back, and what nobody wants any more harms nobody. The
// next session starts afresh.
//
// The supervisor of the events owns it. It sends one action at a time.
type demand struct {
	session *session
	now     atomic.Pointer[sending] // supervisor → everybody

	step     *step // the action under way, nil if none is
	behind   *step // the last one behind which a Ping went
	explored bool  // whether there are filters in this session is decided
}

// A sending is what Asterisk sends to a session, immutable.
type sending struct {
	mask     eventset.Mask
	filtered bool
	included eventset.Set // by filters
}

// A step is an action that lets more through.
type step struct {
	action action.Action
	filter string // what it includes; "" if it sets the mask
	then   sending
	sent   *correlate.Pending
}

// ownEvents are the broadcasts that the client itself needs.
var ownEvents = eventset.Of("FullyBooted", "Shutdown", "OriginateResponse")

// retryFull is when an action is tried again that found the queue full.
const retryFull = 100 * time.Millisecond

// errUnanswered ends an action if the Ping behind it is answered first.
var errUnanswered = errors.New("it was not answered, but the Ping behind it")

func newDemand(s *session) *demand {
	d := &demand{session: s}
	d.now.Store(&sending{mask: d.wanted().Mask()})
	return d
}

// wanted is what Asterisk should send.
func (d *demand) wanted() eventset.Set {
	return ownEvents.Union(d.session.lane.client.feed.wanted())
}

// sends reports whether all events of these names come.
func (d *demand) sends(names []string) bool {
	now, set := d.now.Load(), eventset.Of(names...)
	return now.mask.Has(set.Mask()) && (!now.filtered || now.included.Has(set))
}

// filters reports whether filters keep anything out.
func (d *demand) filters() bool {
	now := d.now.Load()
	return now.filtered && !now.included.All()
}

// answered is closed when the action under way has ended.
func (d *demand) answered() <-chan struct{} {
	if d == nil || d.step == nil {
		return nil
	}
	return d.step.sent.Done()
}

// keep takes in how the action under way has ended, and sends the next one that
// is missing. full reports that there was no room for it. An error is to end the
// session: its successor asks for everything at its login.
func (d *demand) keep() (full bool, err error) {
	if d == nil {
		return false, nil
	}
	if d.step != nil {
		if !isClosed(d.step.sent.Done()) {
			return false, nil
		}
		if err := d.settle(); err != nil {
			return false, err
		}
	}
	next := d.missing()
	if next == nil {
		return false, nil
	}
	if next.sent = d.session.lane.post(d.session, next.action); next.sent == nil {
		return true, nil
	}
	d.step = next
	return false, nil
}

// missing returns the step that lets through some of what does not come yet, nil
// if all comes.
func (d *demand) missing() *step {
	want, then := d.wanted(), *d.now.Load()
	if !then.mask.Has(want.Mask()) {
		then.mask |= want.Mask()
		return &step{then: then, action: action.Events{EventMask: then.mask.String()}}
	}
	if then.filtered && then.included.Has(want) || !then.filtered && d.explored {
		return nil
	}
	add := want.Less(then.included)
	filter := add.Pattern()
	switch {
	case !then.filtered && (add.All() || filter == ""):
		// The first filter shuts out all that is not in it, and so has to have
		// everything at once, or there is none.
		d.explored = true
		return nil
	case filter == "":
		add = eventset.Of()
		filter = add.Pattern()
	}
	then.filtered, then.included = true, then.included.Union(add)
	return &step{then: then, filter: filter, action: action.Filter{Operation: "Add", Filter: filter}}
}

// settle takes in how the action under way has ended.
func (d *demand) settle() error {
	s, p, log := d.step, d.step.sent, d.session.lane.log
	d.step = nil
	switch {
	case s.filter == "" && (p.Verdict == strategy.Done || errors.Is(p.Cause, errUnanswered)):
		// With brokeneventsaction Asterisk says nothing about some masks. It
		// answers in order: the Ping's answer proves that the mask was set.
		d.now.Store(&s.then)
		log.Info(msgMask, attrEventMask, s.then.mask.String())
		return nil
	case p.Verdict == strategy.Done:
		d.now.Store(&s.then)
		d.explored = true
		log.Debug(msgFilter, attrFilter, s.filter)
		return nil
	}
	err := p.Cause
	if p.Verdict == strategy.Refused {
		message := d.session.lane.client.cfg.redact.Text(oneLine(p.Response.Get("Message")))
		err = fmt.Errorf("refused: Asterisk says %q", message)
		if s.filter != "" && !d.explored {
			d.explored = true
			log.Info(msgNoFilter, attrReason, err.Error())
			return nil
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrEventMask, s.action.Name(), err)
}

// pinged notes that a Ping was sent.
func (d *demand) pinged() {
	if d != nil {
		d.behind = d.step
	}
}

// ponged notes that it was answered.
func (d *demand) ponged() {
	if d != nil && d.step != nil && d.step == d.behind {
		d.session.lane.client.table.Abandon(d.step.sent, errUnanswered)
	}
}

// unproven reports whether a Ping behind the action under way is still to be
// sent.
func (d *demand) unproven() bool { return d != nil && d.step != nil && d.step != d.behind }
