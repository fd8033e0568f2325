package ami

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/conn"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/correlate"
)

// batchMost is how many events the reader collects before it hands them over,
// if they arrive together.
const batchMost = 64

// A session is one login. It takes the frames of its connection to where they
// belong. The node's supervisor owns it.
type session struct {
	client *Client
	epoch  uint64
	conn   *conn.Conn
	banner string

	// Owned by the reader goroutine.
	batch     []event.Event
	malformed []time.Time // of the malformed messages within the window

	booted   atomic.Bool // FullyBooted was seen
	shutdown atomic.Bool // Shutdown was seen

	mu           sync.Mutex
	blocking     int       // actions for which Asterisk holds the session
	blockedUntil time.Time // the latest of their deadlines
}

// hold notes an action for which Asterisk may hold the session until t.
func (s *session) hold(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocking++
	if t.After(s.blockedUntil) {
		s.blockedUntil = t
	}
}

// release notes the end of such an action. One that was only given up still
// holds the session, unless Asterisk never saw it.
func (s *session) release(p *correlate.Pending) {
	if p.Cause != nil && p.Sent {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocking--; s.blocking == 0 {
		s.blockedUntil = time.Now()
	}
}

// heldUntil returns until when silence is no sign of a dead peer.
func (s *session) heldUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blockedUntil
}

// onFrame runs on the reader goroutine.
func (s *session) onFrame(f *frame.Frame) {
	c := s.client
	switch c.table.Offer(f) {
	case correlate.Publish, correlate.Both:
		s.publish(f)
	case correlate.Late:
		c.count.late.Add(1)
	case correlate.Stranger:
		c.count.unmatched.Add(1)
		c.tell(fault{unmatched: f})
	}
}

// publish queues an event for the subscriptions.
func (s *session) publish(f *frame.Frame) {
	c := s.client
	switch f.Name() {
	case "FullyBooted":
		s.booted.Store(true)
	case "Shutdown":
		s.shutdown.Store(true)
	}
	c.count.events.Add(1)
	c.sequence++
	if !c.feed.interested() {
		return
	}
	s.batch = append(s.batch, event.Event{Node: c.node.Key, Seq: c.sequence, Time: s.conn.LastRead(), Frame: f})
	if len(s.batch) >= batchMost {
		s.flush()
	}
}

// flush hands the collected events over: before every read that may wait, so
// that a quiet line adds no delay.
func (s *session) flush() {
	if len(s.batch) == 0 {
		return
	}
	s.client.feed.push(s.batch)
	clear(s.batch)
	s.batch = s.batch[:0]
}

// onMalformed runs on the reader goroutine. An error ends the session.
func (s *session) onMalformed(e *frame.FormatError) error {
	c := s.client
	c.count.rejected.Add(1)
	c.tell(fault{malformed: e})
	if e.Head != nil {
		c.table.Reject(e.Head.Get("ActionID"), e)
	}
	now := time.Now()
	s.malformed = slices.DeleteFunc(s.malformed, func(t time.Time) bool { return now.Sub(t) >= c.cfg.malformedWindow })
	s.malformed = append(s.malformed, now)
	if len(s.malformed) > c.cfg.malformed {
		return &ProtocolError{Node: c.node.Key, Err: e}
	}
	return nil
}
