package strategy

import (
	"strings"

	"github.com/apn/ami/frame"
)

// A Verdict is what a frame means for an action.
type Verdict uint8

// The verdicts. Keep and all above it mean that the frame is part of the
// answer; all above Keep end it.
const (
	// Foreign: the frame is no part of the answer, whatever ActionID it has.
	Foreign Verdict = iota
	// Keep: part of the answer, more is to come.
	Keep
	// Done: the answer is complete.
	Done
	// Refused: Asterisk said Error, and the answer is complete or gets no more
	// frames.
	Refused
	// Missing: the end came without the Response that must precede it.
	Missing
	// Overflow: one frame more than MaxMessages.
	Overflow
	// Expired: no more frames are awaited, and the answer is not complete.
	Expired
	// PartialDone: likewise, and the strategy takes what came as the answer.
	PartialDone
)

// Progress is the state of one action that is being answered. It is not safe
// for concurrent use. Make it with Begin.
type Progress struct {
	strategy  *Strategy
	messages  int
	responses int
	open      bool // the answer has begun: its Response was a Success
	list      bool // Auto: the Response announced a list
	refused   bool // an Error came, and more is to come
	early     bool // Async: the event came before the Response
}

// Begin returns the state of an action before the first frame of its answer.
// s must not change as long as the Progress is in use.
func (s *Strategy) Begin() Progress { return Progress{strategy: s} }

// Offer judges a frame that carries the action's ActionID, or that has none
// and fits NoActionID, or, for a Bare action, has no header to judge it by.
// After a verdict above Keep the Progress is spent.
func (p *Progress) Offer(f *frame.Frame) Verdict {
	v := p.judge(f)
	if v == Foreign {
		return v
	}
	p.messages++
	limit := p.strategy.MaxMessages
	if limit == 0 {
		limit = DefaultMaxMessages
	}
	if p.messages > limit {
		return Overflow
	}
	return v
}

// Expire judges an answer that will get no more frames.
func (p *Progress) Expire() Verdict {
	switch {
	case p.early:
		return Missing
	case p.refused: // what else was to come would not make it a success
		return Refused
	case p.strategy.Partial && p.messages > 0:
		return PartialDone
	default:
		return Expired
	}
}

// Concerns reports whether a frame that carries the action's ActionID can be part
// of the answer at all: a broadcast that merely carries it is not, unless the
// strategy names it.
func (s *Strategy) Concerns(f *frame.Frame) bool {
	return f.Kind() != frame.Event || direct(f) || has(s.Items, f.Name()) || s.Kind == Async && has(s.Terminal, f.Name())
}

// Open reports whether items without an ActionID can belong to the answer: its
// list has begun, and lists are contiguous on the wire.
func (p *Progress) Open() bool { return p.open && len(p.strategy.NoActionID) > 0 }

// Owns reports whether an item of that name, without an ActionID, belongs to
// the answer while it is Open.
func (p *Progress) Owns(event string) bool { return has(p.strategy.NoActionID, event) }

func (p *Progress) judge(f *frame.Frame) Verdict {
	switch f.Kind() {
	case frame.Response:
		return p.response(f)
	case frame.Event:
		return p.event(f)
	default:
		if p.strategy.Kind == Bare {
			return Keep
		}
		return Foreign
	}
}

func (p *Progress) response(f *frame.Frame) Verdict {
	s := p.strategy
	p.responses++
	failed := strings.EqualFold(f.Name(), "Error")
	switch s.Kind {
	case Bare:
		// The action itself answers with a Response only to refuse. Then the
		// Response to the Ping behind it is still to come.
		if failed && !p.refused {
			p.refused = true
			return Keep
		}
		return p.end()
	case List, Auto:
		return p.listResponse(f, failed)
	}
	switch {
	case failed:
		return Refused
	case s.Kind == Async && !p.early, s.Kind == EventOnly:
		p.open = true
		return Keep
	case s.Kind == Single && p.responses < s.Responses:
		return Keep
	default:
		return Done
	}
}

func (p *Progress) listResponse(f *frame.Frame, failed bool) Verdict {
	s := p.strategy
	switch {
	case failed && p.open && s.ErrorGoesOn:
		p.refused = true
		return Keep
	case failed && !p.open && p.empty(f):
		return Done
	case failed:
		return Refused
	case p.open: // a second Success
		return Keep
	}
	p.list = strings.EqualFold(f.Get("EventList"), "start") // FAXSessions says Start
	p.open = p.list || s.Unannounced
	if p.open {
		return Keep
	}
	return Done
}

func (p *Progress) event(f *frame.Frame) Verdict {
	s := p.strategy
	name := f.Name()
	switch s.Kind {
	case EventOnly:
		if has(s.Terminal, name) {
			return Done
		}
		if direct(f) || has(s.Items, name) {
			return Keep
		}
	case Async:
		if !has(s.Terminal, name) {
			return Foreign
		}
		// Asterisk writes the Response first. An event that overtakes it came
		// by another session of the same node, or is not ours.
		if !p.open {
			p.early = true
			return Keep
		}
		return Done
	case List, Auto:
		// A broadcast can carry our ActionID: Asterisk echoes that of a
		// UserEvent to everybody. It has a Privilege header, an answer has not.
		if !direct(f) && !has(s.Items, name) {
			return Foreign
		}
		last := has(s.Terminal, name)
		switch {
		case s.Kind == Auto:
			last = f.Get("EventList") != ""
		case s.Merged && !last:
			for _, event := range f.Values("Event") {
				last = last || has(s.Terminal, event)
			}
		}
		switch {
		case !p.open && !last:
			return Foreign
		case !p.open:
			return Missing
		case last:
			return p.end()
		}
		return Keep
	}
	return Foreign
}

func (p *Progress) end() Verdict {
	if p.refused {
		return Refused
	}
	return Done
}

// empty recognises an Error that means an empty list.
func (p *Progress) empty(f *frame.Frame) bool {
	message := strings.TrimSpace(f.Get("Message"))
	for _, e := range p.strategy.Empty {
		if strings.EqualFold(message, e) {
			return true
		}
	}
	return false
}

// direct tells an event that is written to one session as part of an answer
// from one that is broadcast (main/manager.c: __manager_event_sessions_va adds
// Privilege to the latter).
func direct(f *frame.Frame) bool {
	_, broadcast := f.Lookup("Privilege")
	return !broadcast
}

func has(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
