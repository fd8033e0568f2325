package ami

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/supervise"
	"github.com/apn/ami/strategy"
)

// A lane is one way to the node: it logs in, keeps the session alive, and makes
// the next one when it dies. Lane 0 is that of the events, and the node as the
// world sees it: its state, its gaps, its counters. The others are for actions
// alone; they log in with Events: off, and only while lane 0 is up.
//
// Each has a supervisor goroutine, which makes its sessions one after the other.
type lane struct {
	// Immutable.
	client *Client
	index  int
	log    *slog.Logger // names the lane, unless it is that of the events
	table  *correlate.Lane
	state  *stateBox // that of lane 0 is the node's

	// Supervisor → everybody: the session that is up, nil if none is.
	session atomic.Pointer[session]
	count   laneCounters

	// Reader → supervisor: what is worth a log record. Never waited for.
	faults chan fault

	// Supervisor → who waits for the client to be ready.
	first   chan struct{} // closed after the first attempt
	verdict error         // of that

	// Owned by the supervisor goroutine.
	secret  callback[Secret]
	secure  callback[*tls.Config]
	retry   *supervise.Retry
	reached State     // by the attempt or the session
	epoch   uint64    // of the last session
	lostAt  time.Time // when it ended; zero while it is up
}

type laneCounters struct {
	connects, failures, losses, breakerTurns atomic.Uint64
	failuresBy                               [len(ops)]atomic.Uint64
	breaker                                  atomic.Pointer[string] // its state; nil: it never changed
}

// failed counts a failed attempt.
func (n *laneCounters) failed(err error) {
	n.failures.Add(1)
	if e, ok := errors.AsType[*ConnError](err); ok {
		if i := slices.Index(ops[:], e.Op); i >= 0 {
			n.failuresBy[i].Add(1)
		}
	}
}

// open sets up a lane in place.
func (l *lane) open(c *Client, index int) {
	l.client, l.index, l.log = c, index, c.log
	l.table, l.state = &c.table.Lane, c.state
	if index > 0 {
		l.log = c.log.With(attrLane, index)
		l.table, l.state = c.table.NewLane(), newStateBox(c.node.Key, 1, nil)
	}
	l.faults = make(chan fault, faultsKept)
	l.first = make(chan struct{})
}

// supervise is the life of the lane: attempts, sessions, and the waits between
// them, until ctx ends.
func (l *lane) supervise(ctx context.Context) {
	l.retry = l.newRetry()
	draining := &l.client.draining
	var lost error // what ended the last session
	for attempt := 1; ; attempt++ {
		if draining.Load() { // Shutdown is about to close: nobody needs another session
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			return
		}
		l.reached = Disconnected
		s, err := l.attempt(ctx)
		if err == nil {
			l.count.connects.Add(1)
			l.logConnected(s, attempt)
			err = l.serve(ctx, s, lost)
			lost, l.lostAt = err, time.Now()
			attempt = 0
			if ctx.Err() == nil && !s.leaving.Load() {
				l.count.losses.Add(1)
				l.retry.Lost(err)
			}
		} else {
			if ctx.Err() == nil && !draining.Load() {
				l.count.failed(err)
			}
			l.set(Disconnected, err)
			l.refused(err)
		}
		if ctx.Err() != nil || draining.Load() {
			l.tried(err)
			continue
		}
		wait := l.retry.Wait(errors.Is(err, ErrAuth))
		l.logDisconnected(attempt, wait, err)
		l.tried(err) // behind the record: Dial closes the client then
		l.sleep(ctx, wait)
	}
}

// refused ends the action lanes if the login of the events was refused: with
// allowmultiplelogin = no one of them that had slipped in would bar it for ever.
func (l *lane) refused(err error) {
	if l.index > 0 || !errors.Is(err, ErrAuth) {
		return
	}
	for _, o := range l.client.lanes {
		if s := o.session.Load(); s != nil {
			s.conn.Close(fmt.Errorf("the events cannot log in: %w", err))
		}
	}
}

// attempt makes one session, if the breaker allows and as soon as it is the
// lane's turn. The host name is looked up before that: a resolver that hangs must
// not hold a permit that others wait for. The breaker learns of the outcome
// before the permit goes to the next node.
func (l *lane) attempt(ctx context.Context) (s *session, err error) {
	if err := l.awaitEvents(ctx); err != nil {
		return nil, err
	}
	c, permit := l.client, false
	err = l.retry.Attempt(func() error {
		l.set(Connecting, nil)
		addrs, err := l.resolve(ctx)
		if err != nil {
			return err
		}
		if permit, err = l.awaitTurn(ctx); err != nil {
			return err
		}
		s, err = l.connect(ctx, addrs)
		if err == nil && c.draining.Load() { // Shutdown began meanwhile and will not log it off
			s.conn.Close(ErrClosed)
			s, err = nil, l.failed(ctx, opLogin, ErrClosed)
		}
		return err
	})
	if permit {
		c.cluster.permits.Release(1)
	}
	return s, err
}

// awaitEvents waits until the session of the events is up. What cannot log in
// there would be refused here as well, once more for each lane.
func (l *lane) awaitEvents(ctx context.Context) error {
	for l.index > 0 {
		_, changed, _ := l.client.state.get() // before the look: a change in between closes it
		if l.client.main.session.Load() != nil {
			return nil
		}
		select {
		case <-changed:
		case f := <-l.faults:
			l.logFault(f)
		case <-ctx.Done():
			return l.failed(ctx, opDial, ctx.Err())
		}
	}
	return nil
}

// awaitTurn waits until the lane may dial. In a cluster that takes a permit, and
// by the time it comes the session of the events may be down again.
func (l *lane) awaitTurn(ctx context.Context) (permit bool, err error) {
	if l.client.cluster == nil {
		return false, l.awaitEvents(ctx)
	}
	permits := l.client.cluster.permits
	for {
		if err := permits.Acquire(ctx, 1); err != nil {
			return false, l.failed(ctx, opDial, err)
		}
		if l.index == 0 || l.client.main.session.Load() != nil {
			return true, nil
		}
		permits.Release(1)
		if err := l.awaitEvents(ctx); err != nil {
			return false, err
		}
	}
}

// set moves the state of the lane.
func (l *lane) set(to State, reason error) {
	if to != Disconnected {
		l.reached = to
	}
	l.state.set(to, l.epoch, reason)
}

// down counts an action lane in or out that is down.
func (l *lane) down(change int, reason error) {
	if l.index > 0 {
		l.client.state.lanes(change, reason)
	}
}

// tried tells Dial and Ready how the first attempt went.
func (l *lane) tried(err error) {
	if l.wasTried() {
		return
	}
	l.verdict = err
	close(l.first)
	l.client.state.wake()
}

func (l *lane) wasTried() bool {
	select {
	case <-l.first:
		return true
	default:
		return false
	}
}

// serve runs a session that is logged in, and returns what ended it. lost is
// what ended the one before, nil if there was none.
func (l *lane) serve(ctx context.Context, s *session, lost error) error {
	c := l.client
	l.session.Store(s)               // before Ready and the gap are seen: whoever sees them may send
	if lost != nil && l.index == 0 { // before the reader runs: the gap comes first
		c.pushGap(event.Gap{From: l.epoch, To: s.epoch, Down: time.Since(l.lostAt), Reason: lost})
	}
	l.epoch, l.lostAt = s.epoch, time.Time{}
	s.conn.Start()
	l.set(Ready, nil)
	l.down(-1, nil)
	l.tried(nil)

	l.watch(ctx, s)

	l.session.Store(nil)
	s.conn.Wait() // the answers that were read already beat the end
	cause := s.cause()
	l.panicked(opSession, cause)
	err := &ConnError{Node: c.node.Key, Addr: c.node.Addr, Lane: l.index, Op: opSession, Sent: true, Err: cause}
	l.set(Disconnected, err) // before the callers learn of it and ask
	l.down(+1, err)
	l.table.End(s.epoch, &sessionError{lane: l.index, cause: cause})
	return err
}

// choose returns the session by which an action leaves: that of its lane, or that
// of the events while the lane is down. It is held there for hold if the action
// blocks it.
func (c *Client) choose(events *session, name string, p *correlate.Pending, hold time.Duration) *session {
	s, blocking := events, p.Strategy.Blocking
	if len(c.lanes) > 0 && !staysWithEvents(name, &p.Strategy) {
		if blocking && len(c.lanes) > 1 {
			c.choosing.Lock() // the next one sees that this lane is held
			defer c.choosing.Unlock()
			s = leastHeld(c.lanes[1:], events)
		} else if first := c.lanes[0].session.Load(); first != nil {
			s = first
		}
	}
	s.hold(p, hold)
	return s
}

// staysWithEvents reports whether an action is about the events of its session:
// it changes which of them come, or one of them completes it and nobody can say
// whether that is written to the session that asked or to all.
func staysWithEvents(name string, how *strategy.Strategy) bool {
	return how.Kind == strategy.EventOnly || strings.EqualFold(name, "Events") || strings.EqualFold(name, "Filter")
}

// leastHeld returns the session of the lane that is free first, or otherwise if
// all are down.
func leastHeld(lanes []*lane, otherwise *session) *session {
	var least *session
	var until time.Time
	for _, l := range lanes {
		if s := l.session.Load(); s != nil {
			if end := s.holds.end(); least == nil || end.Before(until) {
				least, until = s, end
			}
		}
	}
	if least == nil {
		return otherwise
	}
	return least
}
