package ami_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// answerAfter lets a server answer a Ping after d.
func answerAfter(s *amitest.Server, d time.Duration) {
	s.Handle("Ping", func(c *amitest.Call) {
		if c.Wait(d) {
			c.Respond(amitest.F("Ping", "Pong"))
		}
	})
}

// TestForeignCauseIsNoReason: the cause of a context may be another action's
// NotReadyError, as it is in an errgroup. Send neither routes an action again
// that was sent, nor goes round for ever (C5, E2).
func TestForeignCauseIsNoReason(t *testing.T) {
	cause := &ami.NotReadyError{Node: "other"}
	t.Run("of the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 2)
			f.run(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			_, err := f.Send(ctx, action.Ping{})
			var timeout *ami.TimeoutError
			require.ErrorAs(t, err, &timeout)
		})
	})
	t.Run("of Run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 20)
			var executed atomic.Int32
			for _, s := range f.list {
				s.Handle("Ping", func(c *amitest.Call) {
					executed.Add(1)
					c.Wait(20 * time.Second)
				})
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- f.Run(ctx) }()
			require.NoError(t, f.Ready(t.Context(), 0))
			answer := make(chan error, 1)
			go func() {
				_, err := f.Send(t.Context(), action.Ping{})
				answer <- err
			}()
			synctest.Wait()
			cancel(cause)
			require.False(t, ami.SafeToRetry(<-answer))
			require.NoError(t, <-done)
			require.EqualValues(t, 1, executed.Load())
		})
	})
}

// TestRemoveMeetsClose: Run, Remove and Close at the same time all return. The
// race: Remove finds a node whose supervisor has not begun and ends it itself,
// and waits for a dispatcher that Close has just stopped (A5, E1, D7).
func TestRemoveMeetsClose(t *testing.T) {
	for range 2000 {
		n := ami.Node{Key: "a", Addr: "10.0.0.1", Username: "u", Secret: ami.NewSecret("s")}
		cl, err := ami.NewCluster([]ami.Node{n}, ami.WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		require.NoError(t, err)
		cl.Subscribe()
		run, removed := make(chan error, 1), make(chan error, 1)
		go func() { run <- cl.Run(context.Background()) }()
		go func() { removed <- cl.Remove(context.Background(), "a") }()
		require.NoError(t, cl.Close())
		for _, err := range []error{<-run, <-removed} { // which of them was first is open
			require.True(t, err == nil || errors.Is(err, ami.ErrClosed), "%v", err)
		}
	}
}

// TestReadyAfterRemove: all are ready as soon as the one that is not has been
// taken out (E1).
func TestReadyAfterRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.list[1].Close()
		run := make(chan error, 1)
		go func() { run <- f.Run(context.WithoutCancel(t.Context())) }()
		ready := make(chan error, 1)
		go func() { ready <- f.Ready(context.WithoutCancel(t.Context()), 0) }()
		time.Sleep(time.Second)
		require.NoError(t, f.Remove(t.Context(), "pbx2"))
		require.NoError(t, <-ready)
		require.NoError(t, f.Remove(t.Context(), "pbx1"))
		require.NoError(t, f.Close())
		require.NoError(t, <-run)
		require.ErrorIs(t, f.Ready(t.Context(), 0), ami.ErrClosed)
	})
}

// A late action is held up while it is encoded.
type late struct {
	action.Ping
	hook func()
}

func (l late) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	l.hook()
	return l.Ping.AppendFields(dst)
}

// TestNoActionBehindTheDrain: an action that was begun before Remove and comes
// into the table after it is not written behind the Logoff (D7, E1).
func TestNoActionBehindTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		f.list[0].Handle("Logoff", func(c *amitest.Call) {
			if c.Wait(time.Second) {
				c.Respond(amitest.F("Response", "Goodbye"))
			}
		})
		f.run(t)
		down := make(chan error, 1)
		_, err := f.Send(t.Context(), late{hook: func() {
			go func() { down <- f.Remove(context.WithoutCancel(t.Context()), "pbx1") }()
			time.Sleep(500 * time.Millisecond)
		}}, ami.To("pbx1"))
		require.ErrorIs(t, err, ami.ErrClosed)
		require.True(t, ami.SafeToRetry(err))
		require.NoError(t, <-down)
	})
}

// TestAddDuringShutdown: it would be cut off without a word (E1, D7).
func TestAddDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		answerAfter(f.list[0], 5*time.Second)
		f.run(t)
		p := make(chan error, 1)
		go func() {
			_, err := f.Send(context.WithoutCancel(t.Context()), action.Ping{})
			p <- err
		}()
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- f.Shutdown(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		require.ErrorIs(t, f.Add(f.serve(t, "pbx2")), ami.ErrClosed)
		require.NoError(t, <-p)
		require.NoError(t, <-down)
	})
}

// TestAnEmptyChoiceIsNobody: an empty name or selection does not mean all (E2).
func TestAnEmptyChoiceIsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.run(t)
		for name, opts := range map[string][]ami.SendOption{
			"no name":           {ami.To("")},
			"no selection":      {ami.Among()},
			"a name not in one": {ami.To("pbx2"), ami.Among("pbx3")},
		} {
			_, err := f.Send(t.Context(), action.Ping{}, opts...)
			require.ErrorIs(t, err, ami.ErrNoNode, name)
		}
		for key := range f.Broadcast(t.Context(), action.Ping{}, ami.Among()) {
			require.Fail(t, "broadcast to nobody", key)
		}
	})
}

// TestWatchersStopAtOnce: also with a backlog (D1).
func TestWatchersStopAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 50)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes := f.StateChanges(ctx)
		f.run(t)
		n := 0
		for range changes {
			n++
			cancel()
		}
		require.Equal(t, 1, n)
	})
}

// TestFinalGapStaysFinal: the end of a node is not merged with a gap of the next
// one that has its key (E7).
func TestFinalGapStaysFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.run(t)
		sub := f.Subscribe(ami.Buffer(2), ami.Named("Noise"))
		require.NoError(t, f.Remove(t.Context(), "pbx1"))
		require.NoError(t, f.Add(f.serve(t, "pbx1")))
		require.NoError(t, f.Ready(t.Context(), 2))
		for _, s := range f.list[2].Sessions() {
			s.Kick()
		}
		synctest.Wait()
		require.NoError(t, f.Ready(t.Context(), 2))
		for range 10 {
			f.list[1].Broadcast("Noise", amitest.ClassCall)
		}
		synctest.Wait()
		require.NoError(t, f.Close())
		var gaps []bool
		for e, err := range sub.All(t.Context()) {
			require.NoError(t, err)
			if g, ok := e.Gap(); ok {
				gaps = append(gaps, g.Final())
			}
		}
		require.Equal(t, []bool{true, false}, gaps)
	})
}
