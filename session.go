package ami

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/apn/ami/conn"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/fair"
)

// batchMost is how many events the reader collects before it hands them over,
// if they arrive together.
const batchMost = 256

// A session is one login. It takes the frames of its connection to where they
// belong. The supervisor of its lane owns it.
type session struct {
	lane   *lane
	epoch  uint64 // set before anybody else sees the session
	conn   *conn.Conn
	banner string

	// Owned by the reader goroutine.
	batch     []fair.Item
	of        *event.Event // what the events of batch share
	events    uint64       // not counted yet
	malformed []time.Time  // of the malformed messages within the window

	booted   atomic.Bool // FullyBooted was seen
	shutdown atomic.Bool // Shutdown was seen
	leaving  atomic.Bool // Logoff was queued: the end is wanted

	holds holds

	demand *demand // nil if the mask is fixed
}

func newSession(l *lane) *session {
	return &session{lane: l, holds: holds{moved: make(chan struct{}, 1)}}
}

// eventMask returns the mask in force.
func (s *session) eventMask() string {
	switch {
	case s.lane.index > 0:
		return "off"
	case s.demand != nil:
		return s.demand.now.Load().mask.String()
	default:
		return s.lane.client.node.Events
	}
}

// onFrame runs on the reader goroutine.
func (s *session) onFrame(f *frame.Frame) {
	l, c := s.lane, s.lane.client
	switch fate := l.table.Offer(f); fate {
	case correlate.Publish, correlate.Both:
		if l.index == 0 {
			s.publish(f)
		} else if fate == correlate.Publish { // asked for no events, and lane 0 gets them all
			c.count.unmatched.Add(1)
		}
	case correlate.Late:
		c.count.late.Add(1)
		if f.Kind() == frame.Response {
			s.holds.release(f.ActionID())
		}
	case correlate.Stranger:
		c.count.unmatched.Add(1)
		l.tell(fault{epoch: s.epoch, unmatched: f})
	}
}

// publish queues an event for the subscriptions.
func (s *session) publish(f *frame.Frame) {
	c := s.lane.client
	switch f.Name() {
	case "FullyBooted":
		s.booted.Store(true)
	case "Shutdown":
		s.shutdown.Store(true)
	}
	s.events++
	c.sequence++
	if !c.feed.interested() {
		return
	}
	if len(s.batch) == 0 {
		s.of = &event.Event{Node: c.node.Key, Time: s.conn.LastRead()} // of all: the next read comes behind a flush
	}
	s.batch = append(s.batch, fair.Item{Frame: f, Seq: c.sequence, Of: s.of})
	if len(s.batch) >= batchMost {
		s.flush()
	}
}

// flush hands the collected events over: before every read that may wait, so
// that a quiet line adds no delay.
func (s *session) flush() {
	if s.events > 0 {
		s.lane.client.count.events.Add(s.events)
		s.events = 0
	}
	if len(s.batch) == 0 {
		return
	}
	if s.lane.client.feed.push(s.batch) {
		// A reader whose line is never quiet has its processor for 10 ms at a
		// time. With a few of them the dispatcher would come last, and all that
		// they read would pile up here. Let others run first: the socket holds
		// what comes meanwhile. That waits for no user.
		runtime.Gosched()
	}
	clear(s.batch)
	s.batch = s.batch[:0]
}

// onMalformed runs on the reader goroutine. An error ends the session.
func (s *session) onMalformed(e *frame.FormatError) error {
	c := s.lane.client
	c.count.rejected.Add(1)
	s.lane.tell(fault{epoch: s.epoch, malformed: e})
	if e.Head != nil {
		c.table.Reject(e.Head, e)
		if e.Head.Kind() == frame.Response { // it was answered, in whatever way
			s.holds.release(e.Head.ActionID())
		}
	}
	now := time.Now()
	s.malformed = slices.DeleteFunc(s.malformed, func(t time.Time) bool { return now.Sub(t) >= c.cfg.malformedWindow })
	s.malformed = append(s.malformed, now)
	if len(s.malformed) > c.cfg.malformed {
		return &ProtocolError{Node: c.node.Key, Err: e}
	}
	return nil
}

// cause puts what ended the session into words.
func (s *session) cause() error {
	err := s.lane.client.cfg.redacted(s.conn.Err())
	switch {
	case s.shutdown.Load():
		return fmt.Errorf("%w: %w", ErrShutdown, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("closed by Asterisk: %w", err)
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("closed here: %w", err)
	default:
		return err
	}
}
