package ami

import (
	"slices"
	"strings"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// offer filters a batch and buffers what is left. The dispatcher calls it.
func (s *Subscription) offer(batch []fair.Item) {
	// Before the lock: predicates are code of users, which may ask for Dropped. One
	// that calls runtime.Goexit lets nothing run but what is deferred.
	s.wanted = s.wanted[:0]
	defer s.put(batch)
	s.filter(batch)
}

// filter notes which events of a batch are wanted, from the first that it has not
// noted on.
func (s *Subscription) filter(batch []fair.Item) {
	defer func() {
		if len(s.wanted) < len(batch) { // runtime.Goexit
			s.wanted = append(s.wanted, false)
			s.filter(batch)
		}
	}()
	for i := len(s.wanted); i < len(batch); i++ {
		s.wanted = append(s.wanted, s.wants(&batch[i]))
	}
}

// put buffers the events of a batch that are wanted.
func (s *Subscription) put(batch []fair.Item) {
	took := false
	s.mu.Lock()
	before := s.buffer.dropped
	for i := range batch {
		e := &batch[i]
		s.buffer.lose(e.Of.Node, e.Lost) // by the node's queue
		if !s.wanted[i] {
			s.buffer.carry += e.Lost
			continue
		}
		took = true
		s.buffer.put(e)
	}
	dropped := s.buffer.dropped - before
	s.mu.Unlock()
	if took {
		s.signal()
	}
	s.note(dropped)
}

func (s *Subscription) wants(e *fair.Item) bool {
	if _, gap := e.Of.Gap(); gap {
		return true
	}
	if len(s.cfg.names) > 0 {
		name := e.Frame.Name()
		if !slices.ContainsFunc(s.cfg.names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return false
		}
	}
	return s.cfg.where == nil || s.matches(e.Event())
}

// goexit stands in a log record for a predicate that calls runtime.Goexit.
type goexit struct{}

// matches runs the user's predicate; its panic stays here.
func (s *Subscription) matches(e event.Event) (ok bool) {
	returned := false
	defer func() {
		if p := recover(); p != nil {
			ok = false
			s.hub.panicked(&e, p)
		} else if !returned {
			s.hub.panicked(&e, goexit{})
		}
	}()
	ok = s.cfg.where(e)
	returned = true
	return ok
}
