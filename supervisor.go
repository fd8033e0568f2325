package ami

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/fair"
	"github.com/apn/ami/internal/supervise"
)

// A fault is something that the reader met and the supervisor logs, because a
// log handler may block and the reader must not.
type fault struct {
	epoch     uint64 // of the session
	malformed *frame.FormatError
	unmatched *frame.Frame
}

const faultsKept = 4

// tell hands a fault to the supervisor, or drops it: it is counted anyway.
func (l *lane) tell(f fault) {
	select {
	case l.faults <- f:
	default:
	}
}

// counters are what Stats reads, besides those of the lanes.
type counters struct {
	events, rejected, unmatched, late atomic.Uint64
	observerPanics, callbackPanics    panics
}

// newRetry and the three records below are functions of their own for the sake of
// the supervisor's stack: what they need on it would be there for as long as the
// node lives, and a stack that uses more than about 1.2 KiB does not shrink to 4.

func (l *lane) newRetry() *supervise.Retry {
	return supervise.New(l.client.cfg.retry(func(from, to string) {
		l.count.breakerTurns.Add(1)
		l.count.breaker.Store(&to)
		level := slog.LevelInfo
		if to == "open" {
			level = slog.LevelWarn
		}
		l.log.Log(context.Background(), level, msgBreaker, attrFrom, from, attrTo, to)
	}))
}

func (l *lane) logConnected(s *session, attempt int) {
	c := l.client
	l.log.Info(msgConnected, attrHost, c.host, attrPort, c.port, attrAttempt, attempt, attrEpoch, s.epoch, attrBanner, s.banner,
		attrEventMask, s.eventMask())
}

func (l *lane) logDisconnected(attempt int, wait time.Duration, err error) {
	c := l.client
	l.log.Warn(msgDisconnected, attrHost, c.host, attrPort, c.port, attrEpoch, l.epoch, attrAttempt, attempt, attrState, l.reached.String(), attrBackoff, wait,
		attrNextRetryAt, time.Now().Add(wait), attrBreaker, l.retry.Breaker(), attrReason, err.Error())
}

// logClosed tells that the node was ended on purpose, and makes no more sessions.
func (c *Client) logClosed(cause error) {
	reason := c.cfg.redacted(cause).Error()
	switch {
	case cause != ErrClosed: //nolint:errorlint // as end was given it
	case c.draining.Load():
		reason = "Shutdown"
	default:
		reason = "Close"
	}
	c.log.Info(msgClosed, attrHost, c.host, attrPort, c.port, attrEpoch, c.main.epoch, attrReason, reason)
}

// sleep waits, and logs what the last reader has left.
func (l *lane) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case f := <-l.faults:
			l.logFault(f)
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
		c.feed.push([]fair.Item{fair.ItemOf(event.OfGap(c.node.Key, c.sequence, time.Now(), g))})
	}
}

// pushEnd tells them that it will not come back.
func (c *Client) pushEnd(reason error) {
	g := event.Gap{From: c.main.epoch, Reason: reason}
	if !c.main.lostAt.IsZero() {
		g.Down = time.Since(c.main.lostAt)
	}
	c.pushGap(g)
}

// watch waits for the end of the session and brings it about: when ctx ends,
// when nothing is read for too long, when a Ping is not answered, when Asterisk
// does not send what subscriptions want.
func (l *lane) watch(ctx context.Context, s *session) {
	c := l.client
	start := time.Now()
	nextPing := start.Add(c.cfg.keepalive)
	stableAt := start.Add(c.cfg.stableAfter)
	var ping *correlate.Pending
	var answered <-chan struct{}
	var sent, before time.Time // when the Ping was sent, and when what may be in front of it is over
	var more <-chan struct{}   // a subscription wants more than before
	if s.demand != nil {
		more = c.feed.more
	}
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
		case f := <-l.faults:
			l.logFault(f)
			continue
		case <-s.holds.moved:
		case <-more:
		case <-s.demand.answered():
		case <-answered:
			s.demand.ponged()
			ping, answered = nil, nil
			nextPing = sent.Add(c.cfg.keepalive)
		case <-timer.C:
		}
		now, held := time.Now(), s.holds.quiet(s.conn.LastRead())
		if !stableAt.IsZero() && !now.Before(stableAt) {
			l.retry.Stable()
			stableAt = time.Time{}
		}
		full, err := s.demand.keep()
		if err != nil {
			s.conn.Close(err)
			return
		}
		if !held.After(now) && ping == nil && (!now.Before(nextPing) || s.demand.unproven()) {
			if ping = l.post(s, action.Ping{}); ping != nil {
				s.demand.pinged()
				sent, answered = now, ping.Done()
				before = s.holds.end() // what comes later stands behind the Ping
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
			answerBy := latest(sent, earliest(before, held)).Add(c.cfg.keepaliveTimeout)
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
		if full {
			wake = earliest(wake, now.Add(retryFull))
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

// post sends an action of the client's own, without a deadline: the keepalive
// finds a session that answers no more. It returns nil if there is no room.
func (l *lane) post(s *session, a action.Action) *correlate.Pending {
	table := l.client.table
	p := table.New(a.Strategy())
	p.Epoch = s.epoch
	var err error
	if p.Bytes, err = encode(a, p.ID, false); err != nil || l.table.Add(p) != nil {
		return nil
	}
	if s.conn.Enqueue(&p.Out) != nil {
		table.Abandon(p, ErrClosed)
		return nil
	}
	return p
}

func (l *lane) logFault(f fault) {
	if m := f.malformed; m != nil {
		id := ""
		if m.Head != nil {
			id = m.Head.ActionID()
		}
		l.log.Warn(msgMalformed, attrEpoch, f.epoch, attrActionID, id,
			attrReason, string(m.Reason), attrRejectedTotal, l.client.count.rejected.Load())
		return
	}
	l.log.Debug(msgUnmatched, attrEpoch, f.epoch, attrActionID, f.unmatched.ActionID(), attrFrame, f.unmatched)
}
