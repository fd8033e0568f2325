package ami

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/supervise"
)

// A fault is something that the reader met and the supervisor logs, because a
// log handler may block and the reader must not.
type fault struct {
	malformed *frame.FormatError
	unmatched *frame.Frame
}

const faultsKept = 16

// tell hands a fault to the supervisor, or drops it: it is counted anyway.
func (c *Client) tell(f fault) {
	select {
	case c.faults <- f:
	default:
	}
}

// counters are what Stats reads.
type counters struct {
	events, rejected, unmatched, late        atomic.Uint64
	connects, failures, losses, breakerTurns atomic.Uint64
}

// supervise is the life of the node: attempts, sessions, and the waits between
// them, until ctx ends.
func (c *Client) supervise(ctx context.Context) {
	retry := c.newRetry()
	var lost error // what ended the last session
	for attempt := 1; ; attempt++ {
		if c.draining.Load() { // Shutdown is about to close: nobody needs another session
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			return
		}
		s, err := c.attempt(ctx, retry)
		if err == nil {
			c.count.connects.Add(1)
			c.logConnected(s, attempt)
			err = c.serve(ctx, s, retry, lost)
			lost, c.lostAt = err, time.Now()
			attempt = 0
			if ctx.Err() == nil && !s.leaving.Load() {
				c.count.losses.Add(1)
				retry.Lost(err)
			}
		} else {
			if ctx.Err() == nil && !c.draining.Load() {
				c.count.failures.Add(1)
			}
			c.state.set(Disconnected, c.epoch, err)
		}
		if ctx.Err() != nil || c.draining.Load() {
			c.tried(err)
			continue
		}
		wait := retry.Wait(errors.Is(err, ErrAuth))
		c.logDisconnected(retry, attempt, wait, err)
		c.tried(err) // behind the record: Dial closes the client then
		c.sleep(ctx, wait)
	}
}

// newRetry and the two records below are functions of their own for the sake of
// the supervisor's stack: what they need on it would be there for as long as the
// node lives, and a stack that uses more than about 1.2 KiB does not shrink to 4.

func (c *Client) newRetry() *supervise.Retry {
	return supervise.New(c.cfg.retry(func(from, to string) {
		c.count.breakerTurns.Add(1)
		c.log.Warn("circuit breaker changed", "from", from, "to", to)
	}))
}

func (c *Client) logConnected(s *session, attempt int) {
	c.log.Info("connected", "host", c.host, "port", c.port, "attempt", attempt, "epoch", s.epoch, "banner", s.banner)
}

func (c *Client) logDisconnected(retry *supervise.Retry, attempt int, wait time.Duration, err error) {
	c.log.Warn("disconnected", "host", c.host, "port", c.port, "attempt", attempt, "backoff", wait,
		"next_retry_at", time.Now().Add(wait), "breaker", retry.Breaker(), "reason", err.Error())
}

// attempt makes one session, if the breaker allows and, in a cluster, as soon
// as it is the node's turn. The host name is looked up before that: a resolver
// that hangs must not hold a permit that others wait for. The breaker learns of
// the outcome before the permit goes to the next node.
func (c *Client) attempt(ctx context.Context, retry *supervise.Retry) (s *session, err error) {
	permit := false
	err = retry.Attempt(func() error {
		c.state.set(Connecting, c.epoch, nil)
		addrs, err := c.resolve(ctx)
		if err != nil {
			return err
		}
		if c.cluster != nil {
			if err := c.cluster.permits.Acquire(ctx, 1); err != nil {
				return c.failed(ctx, opDial, err)
			}
			permit = true
		}
		s, err = c.connect(ctx, addrs)
		if err == nil && c.draining.Load() { // Shutdown began meanwhile and will not log it off
			s.conn.Close(ErrClosed)
			s, err = nil, c.failed(ctx, opLogin, ErrClosed)
		}
		return err
	})
	if permit {
		c.cluster.permits.Release(1)
	}
	return s, err
}

// tried tells Dial how the first attempt went.
func (c *Client) tried(err error) {
	select {
	case <-c.first:
	default:
		c.verdict = err
		close(c.first)
	}
}

// sleep waits, and logs what the last reader has left.
func (c *Client) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case f := <-c.faults:
			c.logFault(f)
		case <-ctx.Done():
			return
		}
	}
}

// pushGap tells the subscriptions in band that the node was away. No reader
// runs, so that sequence and queue are the supervisor's.
func (c *Client) pushGap(g event.Gap) {
	c.sequence++
	if c.feed.interested() {
		c.feed.push([]event.Event{event.OfGap(c.node.Key, c.sequence, time.Now(), g)})
	}
}

// pushEnd tells them that it will not come back.
func (c *Client) pushEnd(reason error) {
	g := event.Gap{From: c.epoch, Reason: reason}
	if !c.lostAt.IsZero() {
		g.Down = time.Since(c.lostAt)
	}
	c.pushGap(g)
}

// serve runs a session that is logged in, and returns what ended it. lost is
// what ended the one before, nil if there was none.
func (c *Client) serve(ctx context.Context, s *session, retry *supervise.Retry, lost error) error {
	c.session.Store(s) // before Ready and the gap are seen: whoever sees them may send
	if lost != nil {   // before the reader runs: the gap comes first
		c.pushGap(event.Gap{From: c.epoch, To: s.epoch, Down: time.Since(c.lostAt), Reason: lost})
	}
	c.epoch, c.lostAt = s.epoch, time.Time{}
	s.conn.Start()
	c.state.set(Ready, s.epoch, nil)
	c.tried(nil)

	c.watch(ctx, s, retry)

	c.session.Store(nil)
	s.conn.Wait() // the answers that were read already beat the end
	cause := c.cause(s)
	err := &ConnError{Node: c.node.Key, Addr: c.node.Addr, Op: opSession, Sent: true, Err: cause}
	c.state.set(Disconnected, s.epoch, err) // before the callers learn of it and ask
	c.table.End(s.epoch, &sessionError{cause})
	return err
}

// cause puts what ended a session into words.
func (c *Client) cause(s *session) error {
	err := s.conn.Err()
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

// watch waits for the end of the session and brings it about: when ctx ends,
// when nothing is read for too long, when a Ping is not answered.
func (c *Client) watch(ctx context.Context, s *session, retry *supervise.Retry) {
	start := time.Now()
	nextPing := start.Add(c.cfg.keepalive)
	stableAt := start.Add(c.cfg.stableAfter)
	var ping *correlate.Pending
	var answered <-chan struct{}
	var sent time.Time
	defer func() {
		if ping != nil {
			c.table.Abandon(ping, ErrClosed)
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.conn.Close(context.Cause(ctx))
			return
		case <-s.conn.Done():
			return
		case f := <-c.faults:
			c.logFault(f)
			continue
		case <-s.holds.moved:
		case <-answered:
			ping, answered = nil, nil
			nextPing = sent.Add(c.cfg.keepalive)
		case <-timer.C:
		}
		now, held := time.Now(), s.holds.end()
		if !stableAt.IsZero() && !now.Before(stableAt) {
			retry.Stable()
			stableAt = time.Time{}
		}
		if !held.After(now) && ping == nil && !now.Before(nextPing) {
			if ping = c.ping(s); ping != nil {
				sent, answered = now, ping.Done()
			} else {
				nextPing = now.Add(c.cfg.keepalive) // the queue is full: the write timeout decides
			}
		}
		idleAt := latest(s.conn.LastRead(), held).Add(c.cfg.readIdle)
		if !now.Before(idleAt) {
			s.conn.Close(keepaliveError(ErrReadIdle, c.cfg.readIdle))
			return
		}
		wake := idleAt
		if ping != nil {
			answerBy := latest(sent, held).Add(c.cfg.keepaliveTimeout)
			if !now.Before(answerBy) {
				s.conn.Close(keepaliveError(ErrKeepalive, c.cfg.keepaliveTimeout))
				return
			}
			wake = earliest(wake, answerBy)
		} else {
			wake = earliest(wake, latest(nextPing, held))
		}
		if !stableAt.IsZero() {
			wake = earliest(wake, stableAt)
		}
		timer.Reset(wake.Sub(now))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// ping sends a keepalive, nil if there is no room for it.
func (c *Client) ping(s *session) *correlate.Pending {
	a := action.Ping{}
	p := c.table.New(s.epoch, a.Strategy())
	var err error
	if p.Bytes, err = encode(a, p.ID, false); err != nil || c.table.Add(p) != nil {
		return nil
	}
	if s.conn.Enqueue(&p.Out) != nil {
		c.table.Abandon(p, ErrClosed)
		return nil
	}
	return p
}

func (c *Client) logFault(f fault) {
	switch {
	case f.malformed != nil:
		c.log.Warn("malformed message discarded", "reason", string(f.malformed.Reason), "rejected_total", c.count.rejected.Load())
	case f.unmatched != nil:
		c.log.Debug("response without an action", "action_id", f.unmatched.Get("ActionID"), "frame", f.unmatched)
	}
}
