package amitest

import (
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// queued is an event on its way to the sessions.
type queued struct {
	at    time.Time
	class Class
	name  string
	text  []byte // shared by all sessions, never changed
}

// events is the part of a session that holds what it has still to send. It
// has no bound: a session that cannot send is cut off before long, and one
// that a slow action blocks loses what is too old.
type events struct {
	mask    atomic.Uint32 // which of the user's classes the client wants
	notify  chan struct{} // one slot: something was queued
	waiting atomic.Bool   // a WaitEvent runs

	mu      sync.Mutex
	pending []queued
	filters []filter // of the session's goroutine, but read under the lock
}

// filter is one Filter action of the session.
type filter struct {
	exclude bool
	name    string         // the event's exact name, or any
	text    *regexp.Regexp // nil matches all
}

func (f *filter) match(e queued) bool {
	return (f.name == "" || f.name == e.name) && (f.text == nil || f.text.Match(e.text))
}

// wants tells whether user and mask let the event through.
func (s *Session) wants(class Class) bool {
	user := s.user.Load()
	return user != nil && user.Read.orAll()&class == class && Class(s.events.mask.Load())&class == class
}

// queue adds an event. It never blocks.
func (s *Session) queue(e queued) {
	if s.wants(e.class) {
		s.events.mu.Lock()
		s.events.pending = append(s.events.pending, e)
		s.events.mu.Unlock()
	} else if !s.events.waiting.Load() {
		return
	}
	select {
	case s.events.notify <- struct{}{}:
	default:
	}
}

// take returns and clears what is queued.
func (s *Session) take() []queued {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	pending := s.events.pending
	s.events.pending = nil
	return pending
}

// backlog is how many events wait.
func (s *Session) backlog() int {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return len(s.events.pending)
}

// flush sends the queued events (process_events): each is one write with its
// own time limit.
func (s *Session) flush() error {
	for pending := s.take(); len(pending) > 0; pending = s.take() {
		for _, e := range pending {
			if !s.wants(e.class) || !s.passes(e) || time.Since(e.at) > s.srv.cfg.retention {
				continue
			}
			if err := s.write(e.text); err != nil {
				return err
			}
		}
		s.srv.touch()
	}
	return nil
}

// passes applies the filters: includes make a white list, excludes a black
// list, both together includes minus excludes (should_send_event).
func (s *Session) passes(e queued) bool {
	s.events.mu.Lock()
	filters := s.events.filters
	s.events.mu.Unlock()
	included, anyInclude := false, false
	for i := range filters {
		f := &filters[i]
		if f.exclude {
			if f.match(e) {
				return false
			}
			continue
		}
		anyInclude = true
		included = included || f.match(e)
	}
	return included || !anyInclude
}

func (s *Session) addFilter(f filter) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.filters = append(s.events.filters, f)
}
