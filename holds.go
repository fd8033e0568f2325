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

	mu    sync.Mutex
	each  map[string]time.Duration // by ActionID; how long each may take
	until time.Time                // when the last of them is over
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
	h.until = latest(time.Now(), h.until).Add(d)
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
	for _, d := range h.each {
		until = until.Add(d)
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

// end returns until when silence is no sign of a dead peer.
func (h *holds) end() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until
}

func (h *holds) signal() {
	select {
	case h.moved <- struct{}{}:
	default: // told already
	}
}
