package ami

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/internal/correlate"
)

// holds knows the actions for which Asterisk answers nothing else on a session
// (WaitEvent, an Originate that is not Async): meanwhile silence is no sign of a
// dead peer. Asterisk runs them one after the other.
type holds struct {
	// Callers and reader → supervisor, one slot: until has changed.
	moved chan struct{}
	some  atomic.Bool // until may lie ahead

	mu      sync.Mutex
	each    map[string]time.Duration // by ActionID; how long each may take
	until   time.Time                // when the last of them is over
	since   time.Time                // when the first of them was added
	longest time.Duration            // of each
}

// hold notes that p holds the session for d, if it does.
func (s *session) hold(p *correlate.Pending, d time.Duration) {
	if p.Strategy.Blocking {
		s.holds.add(p.ID, d)
	}
}

// add notes an action that may hold the session for d.
func (h *holds) add(id string, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.each == nil {
		h.each = make(map[string]time.Duration)
	}
	h.each[id] = d
	now := time.Now()
	if !h.until.After(now) { // what is left of others is no longer waited for
		h.since, h.longest = now, 0
	}
	h.until, h.longest = latest(now, h.until).Add(d), max(h.longest, d)
	h.some.Store(true)
	h.signal()
}

// release notes that an action no longer holds the session: it was answered,
// be it too late for its caller, or Asterisk never saw it.
func (h *holds) release(id string) {
	if !h.some.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.each[id]; !ok {
		return
	}
	delete(h.each, id)
	until := time.Now()
	h.longest = 0
	for _, d := range h.each {
		until, h.longest = until.Add(d), max(h.longest, d)
	}
	if until.Before(h.until) {
		h.until = until
	}
	h.some.Store(len(h.each) > 0)
	h.signal()
}

// ended releases an action that has ended, unless Asterisk may still be at it:
// one that its caller has given up holds the session all the same.
func (h *holds) ended(p *correlate.Pending) {
	if p.Cause == nil || !p.Sent {
		h.release(p.ID)
	}
}

// end returns when the last of them is over.
func (h *holds) end() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until
}

// quiet returns until when silence is no sign of a dead peer that was heard last at
// heard: until one of them should have been answered. It is not end that counts,
// which callers put off as long as they send more to a peer that is dead.
func (h *holds) quiet(heard time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return earliest(h.until, latest(h.since, heard).Add(h.longest))
}

func (h *holds) signal() {
	select {
	case h.moved <- struct{}{}:
	default: // told already
	}
}
