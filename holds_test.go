package ami_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/strategy"
)

// downAfter returns how long after start the client noticed that the session is
// dead, -1 if it did not within the time.
func downAfter(t *testing.T, c *ami.Client, start time.Time, within time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for ch := range c.StateChanges(ctx) {
		if ch.To == ami.Disconnected {
			return ch.At.Sub(start)
		}
	}
	return -1
}

// stuckSocket is a socket whose Write can be made to block.
type stuckSocket struct {
	net.Conn
	gate atomic.Pointer[chan struct{}]
}

func (s *stuckSocket) Write(p []byte) (int, error) {
	if g := s.gate.Load(); g != nil {
		<-*g
	}
	return s.Conn.Write(p)
}

func dialStuck(t *testing.T, srv *amitest.Server, opts ...ami.Option) (*ami.Client, *stuckSocket) {
	t.Helper()
	var s *stuckSocket
	c := dial(t, srv, append(opts, ami.WithDialer(func(ctx context.Context, n, a string) (net.Conn, error) {
		k, err := srv.DialContext(ctx, n, a)
		if err != nil {
			return nil, err
		}
		s = &stuckSocket{Conn: k}
		return s, nil
	}))...)
	return c, s
}

// TestAnsweredEarly: an action that held the session for less than it might have
// hides a dead peer no longer (D2).
func TestAnsweredEarly(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		done := make(chan error, 1)
		go func() {
			_, err := c.Send(t.Context(), action.WaitEvent{Timeout: time.Hour})
			done <- err
		}()
		time.Sleep(2 * time.Minute)
		srv.Broadcast("Test", amitest.ClassUser)
		require.NoError(t, <-done)
		srv.Sessions()[0].Silence(true)
		d := downAfter(t, c, time.Now(), 3*time.Hour)
		require.True(t, d > 0 && d <= 90*time.Second, "dead peer found after %v", d)
	})
}

// TestCallerInAHurry: a short Timeout does not make Asterisk answer sooner (D2).
func TestCallerInAHurry(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		srv.Handle("Slow", func(c *amitest.Call) { c.Wait(2 * time.Minute); c.Success("ok") })
		a := action.Custom("Slow").Answered(strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: 130 * time.Second})
		_, err := c.Send(t.Context(), a, ami.Timeout(time.Second))
		require.Error(t, err)
		d := downAfter(t, c, time.Now(), 5*time.Minute)
		require.EqualValues(t, -1, d, "healthy session killed")
	})
}

// TestNeverSentHoldsNothing: an action that found the queue full never reached
// Asterisk (D2, C6).
func TestNeverSentHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, s := dialStuck(t, srv, ami.WithOutboundQueue(1, 128<<10))
		gate := make(chan struct{})
		s.gate.Store(&gate)
		c.Start(t.Context(), action.Ping{})
		synctest.Wait()
		c.Start(t.Context(), action.Ping{})
		_, err := c.Send(t.Context(), action.WaitEvent{Timeout: time.Hour})
		_, ok := errors.AsType[*ami.BackpressureError](err)
		require.True(t, ok, "%v", err)
		s.gate.Store(nil)
		close(gate)
		synctest.Wait()
		require.Zero(t, c.Stats().Pending)
		srv.Sessions()[0].Silence(true)
		d := downAfter(t, c, time.Now(), 3*time.Hour)
		require.True(t, d > 0 && d <= 90*time.Second, "dead peer found after %v", d)
	})
}

// TestHoldsAddUp: Asterisk runs one after the other (D2).
func TestHoldsAddUp(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) { c.Wait(39 * time.Second); c.Success("ok") })
		c := dial(t, srv)
		a := action.Custom("Slow").Answered(strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: 40 * time.Second})
		start := time.Now()
		c.Start(t.Context(), a)
		c.Start(t.Context(), a)
		d := downAfter(t, c, start, 5*time.Minute)
		require.EqualValues(t, -1, d, "healthy session killed at %v", d)
	})
}

// TestHoldOverrun: one that takes a little longer than it should, with others
// behind it, in front of the Ping that this brings about (D2).
func TestHoldOverrun(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) { c.Wait(45 * time.Second); c.Success("ok") })
		c := dial(t, srv)
		a := action.Custom("Slow").Answered(strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: 40 * time.Second})
		start := time.Now()
		c.Start(t.Context(), a)
		c.Start(t.Context(), a)
		d := downAfter(t, c, start, 5*time.Minute)
		require.EqualValues(t, -1, d, "healthy session killed at %v", d)
	})
}

// TestLateAnswerReleases: also the answer that nobody waits for any more (D2).
func TestLateAnswerReleases(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, action.WaitEvent{Timeout: time.Hour})
		require.Error(t, err)
		time.Sleep(9 * time.Second)
		srv.Broadcast("Test", amitest.ClassUser)
		synctest.Wait()
		require.NotZero(t, c.Stats().Late, "the session is free again")
		srv.Sessions()[0].Silence(true)
		d := downAfter(t, c, time.Now(), 3*time.Hour)
		require.True(t, d > 0 && d <= 2*time.Minute, "dead peer found after %v", d)
	})
}

// TestMalformedAnswerReleases: one that was discarded is an answer as well (D2).
func TestMalformedAnswerReleases(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) { c.Respond(amitest.F("X", strings.Repeat("x", 300<<10))) })
		c := dial(t, srv)
		slow := strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: time.Hour}
		_, err := c.Send(t.Context(), action.Custom("Slow").Answered(slow))
		_, ok := errors.AsType[*ami.ProtocolError](err)
		require.True(t, ok, "%v", err)
		srv.Sessions()[0].Silence(true)
		d := downAfter(t, c, time.Now(), 3*time.Hour)
		require.True(t, d > 0 && d <= 2*time.Minute, "dead peer found after %v", d)
	})
}

// TestDeadPeerUnderBlockingActions: actions that would hold the session, sent to a
// peer that is dead, do not put off for ever that this is noticed (D2).
func TestDeadPeerUnderBlockingActions(t *testing.T) {
	for name, every := range map[string]time.Duration{
		"one behind the other": 5 * time.Second,
		"with pauses":          25 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				a := action.Custom("Slow").Answered(strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: 20 * time.Second})
				ctx, cancel := context.WithCancel(t.Context())
				var sending sync.WaitGroup
				sending.Go(func() {
					for ctx.Err() == nil {
						c.Start(ctx, a, ami.Timeout(20*time.Second))
						time.Sleep(every)
					}
				})
				srv.Sessions()[0].Silence(true)
				d := downAfter(t, c, time.Now(), time.Hour)
				cancel()
				sending.Wait()
				require.True(t, d > 0 && d <= 2*time.Minute, "dead peer found after %v", d)
			})
		})
	}
}
