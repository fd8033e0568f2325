package ami_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/strategy"
)

// ringing holds its session for 20 s; nobody answers.
var ringing = action.Originate{Channel: "Local/noanswer@default", Application: "Wait", Data: "1", Timeout: 20 * time.Second}

// TestPingWhileALaneIsHeld: with two lanes a Ping does not wait for a synchronous
// Originate, with one it does; events wait for neither (C2, E5).
func TestPingWhileALaneIsHeld(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lanes int
		waits time.Duration
		event time.Duration
	}{
		{"no lane", 0, 20 * time.Second, 20 * time.Second},
		{"one", 1, 20 * time.Second, 0},
		{"two", 2, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv, ami.WithActionLanes(tc.lanes), ami.WithActionTimeout(time.Minute))
				sub := c.Subscribe(ami.Named("Test"))
				start := time.Now()
				call := c.Start(t.Context(), ringing)
				require.NoError(t, srv.WaitAction(t.Context(), "Originate", 1))
				srv.Broadcast("Test", amitest.ClassUser)
				ping := c.Start(t.Context(), action.Ping{})
				require.Equal(t, tc.event, (<-sub.C()).Time.Sub(start))
				_, err := ping.Result()
				require.NoError(t, err)
				require.Equal(t, tc.waits, time.Since(start))
				_, err = call.Result()
				e, ok := errors.AsType[*ami.ActionError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, "Originate failed", e.Message)
				require.Equal(t, 20*time.Second, time.Since(start))
			})
		})
	}
}

// TestPingWhileWaitEvent: it is not disturbed by the actions of the other lane,
// and ends with the next event although its lane gets none (C2, E5).
func TestPingWhileWaitEvent(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(2))
		wait := c.Start(t.Context(), action.WaitEvent{Timeout: 5 * time.Minute})
		require.NoError(t, srv.WaitAction(t.Context(), "WaitEvent", 1))
		start := time.Now()
		for range 10 {
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
		time.Sleep(4 * time.Minute) // fake: beyond read-idle and keepalive
		select {
		case <-wait.Done():
			require.Fail(t, "it was disturbed")
		default:
		}
		srv.Broadcast("Test", amitest.ClassUser)
		r, err := wait.Result()
		require.NoError(t, err)
		require.Equal(t, "WaitEventComplete", r.End.Name())
		require.Equal(t, 4*time.Minute, time.Since(start))
		for _, l := range c.Stats().Lanes {
			require.Zero(t, l.Losses)
		}
	})
}

// TestLeastHeldLane: actions that hold their session spread over the lanes 2 and
// up, each to the one that is free first, also when they come at the same time
// (E5).
func TestLeastHeldLane(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) {
			d, err := time.ParseDuration(c.Get("For"))
			require.NoError(t, err)
			c.Wait(d)
			c.Success("done")
		})
		c := dial(t, srv, ami.WithActionLanes(4))
		slow := func(d, limit time.Duration) *ami.Pending {
			return c.Start(t.Context(), action.Custom("Slow", "For", d.String()).Answered(
				strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: limit}))
		}
		start := time.Now()
		var pending []*ami.Pending
		var mu sync.Mutex
		var starting sync.WaitGroup
		for i := range 3 {
			starting.Go(func() {
				d := time.Duration(i+1) * time.Minute
				p := slow(d, d+time.Second)
				mu.Lock()
				defer mu.Unlock()
				pending = append(pending, p)
			})
		}
		starting.Wait()
		pending = append(pending, slow(90*time.Second, 5*time.Minute)) // behind that of one minute
		for _, p := range pending {
			_, err := p.Result()
			require.NoError(t, err)
		}
		require.Equal(t, 3*time.Minute, time.Since(start))
		used := sessionsOf(srv, "Slow")
		require.Len(t, used, 4)
		slices.Sort(used)
		require.Len(t, slices.Compact(used), 3)
		require.NotContains(t, used, eventSession)
		_, err := c.Send(t.Context(), action.New("CoreStatus"))
		require.NoError(t, err)
		require.NotContains(t, used, sessionsOf(srv, "CoreStatus")[0], "lane 1 is not for them")
	})
}

// TestHeldLaneDies: the others take what holds a session, and the session of the
// events does if none is left (E5).
func TestHeldLaneDies(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(3), ami.WithBackoff(time.Minute, time.Minute, time.Minute))
		_, err := c.Send(t.Context(), action.New("CoreStatus"))
		require.NoError(t, err)
		first := sessionsOf(srv, "CoreStatus")[0]
		for want := 2; want >= 0; want-- {
			p := c.Start(t.Context(), action.WaitEvent{Timeout: time.Hour})
			synctest.Wait()
			used := sessionsOf(srv, "WaitEvent")
			last := used[len(used)-1]
			require.NotEqual(t, first, last)
			if want == 0 {
				require.Equal(t, eventSession, last)
				return
			}
			require.NotEqual(t, eventSession, last)
			srv.Session(last).Kick()
			synctest.Wait()
			_, err := p.Result()
			e, ok := errors.AsType[*ami.ConnError](err)
			require.True(t, ok, "%v", err)
			require.Greater(t, e.Lane, 1)
			require.True(t, e.Sent)
		}
	})
}
