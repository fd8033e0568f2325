package ami_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/strategy"
)

// TestEndsWithLanes: Shutdown, Close and Remove, whatever the lanes are doing.
// Shutdown and Remove log off each session that is up (D7). What the bubble has
// left at its end would fail the test.
func TestEndsWithLanes(t *testing.T) {
	slowLanes := func(f amitest.Faults) func(int) amitest.Faults {
		return func(n int) amitest.Faults {
			if n == eventSession {
				return amitest.Faults{}
			}
			return f
		}
	}
	endings := map[string]func(ctx context.Context, cl *ami.Cluster, c *ami.Client) error{
		"close":    func(_ context.Context, cl *ami.Cluster, _ *ami.Client) error { return cl.Close() },
		"shutdown": func(ctx context.Context, cl *ami.Cluster, _ *ami.Client) error { return cl.Shutdown(ctx) },
		"remove":   func(ctx context.Context, cl *ami.Cluster, _ *ami.Client) error { return cl.Remove(ctx, "pbx1") },
		"shutdown of the node": func(ctx context.Context, _ *ami.Cluster, c *ami.Client) error {
			return c.Shutdown(ctx)
		},
	}
	for _, tc := range []struct {
		name   string
		faults func(int) amitest.Faults
		during func(t *testing.T, srv *amitest.Server, c *ami.Client)
		logged int           // sessions that can say good-bye
		waits  time.Duration // of a graceful end
		err    error         // of that
	}{
		{name: "up", logged: 3},
		{name: "dialling", faults: slowLanes(amitest.Faults{ConnectDelay: time.Second}), logged: 1},
		{name: "no greeting", faults: slowLanes(amitest.Faults{HalfOpen: true}), logged: 1},
		{name: "logging in", faults: slowLanes(amitest.Faults{LoginDelay: time.Hour}), logged: 1},
		{name: "being refused", faults: slowLanes(amitest.Faults{LoginError: "Login Already In Use"}), logged: 1},
		{
			name: "waiting after a loss", logged: 1,
			during: func(_ *testing.T, srv *amitest.Server, _ *ami.Client) {
				for _, s := range srv.Sessions()[1:] {
					s.Kick()
				}
			},
		},
		{
			name: "held by WaitEvent", logged: 3, waits: 7 * time.Second,
			during: func(t *testing.T, srv *amitest.Server, c *ami.Client) {
				c.Start(t.Context(), action.WaitEvent{Timeout: 7 * time.Second})
				require.NoError(t, srv.WaitAction(t.Context(), "WaitEvent", 1))
			},
		},
		{
			name: "held for longer than there is time", logged: 0, waits: 10 * time.Second, err: context.DeadlineExceeded,
			during: func(t *testing.T, srv *amitest.Server, c *ami.Client) {
				c.Start(t.Context(), action.WaitEvent{Timeout: time.Hour})
				require.NoError(t, srv.WaitAction(t.Context(), "WaitEvent", 1))
			},
		},
		{
			name: "events away", logged: 2,
			during: func(_ *testing.T, srv *amitest.Server, _ *ami.Client) { srv.Session(eventSession).Kick() },
		},
	} {
		for how, end := range endings {
			t.Run(tc.name+", "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T, srv *amitest.Server) {
					if tc.faults != nil {
						srv.OnConnect(tc.faults)
					}
					cl, err := ami.NewCluster([]ami.Node{node(srv)}, ami.WithDialer(srv.DialContext), ami.WithActionLanes(2))
					require.NoError(t, err)
					done := make(chan error, 1)
					go func() { done <- cl.Run(context.WithoutCancel(t.Context())) }()
					c, _ := cl.Node("pbx1")
					if tc.faults == nil {
						require.NoError(t, cl.Ready(t.Context(), 0))
					}
					synctest.Wait()
					require.Equal(t, ami.Ready, c.State())
					if tc.during != nil {
						tc.during(t, srv, c)
						synctest.Wait()
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					start := time.Now()
					err = end(ctx, cl, c)
					graceful := how != "close"
					if graceful {
						require.ErrorIs(t, err, tc.err)
						require.Equal(t, tc.waits, time.Since(start))
						require.Len(t, sessionsOf(srv, "Logoff"), tc.logged)
					} else {
						require.NoError(t, err)
						require.Zero(t, time.Since(start))
					}
					s := c.Stats()
					require.Zero(t, s.Pending)
					require.Equal(t, ami.Disconnected, s.State)
					for _, l := range s.Lanes {
						require.Equal(t, ami.Disconnected, l.State)
					}
					require.NoError(t, cl.Close())
					require.NoError(t, <-done)
				})
			})
		}
	}
}

// TestReadyAndLanes: Ready waits for the verdict of each lane's first attempt, so
// that the first action takes its lane, and no longer than its context if the
// node takes actions (D1).
func TestReadyAndLanes(t *testing.T) {
	start := func(t *testing.T, srv *amitest.Server, delay time.Duration) *ami.Client {
		t.Helper()
		srv.OnConnect(func(n int) amitest.Faults { return amitest.Faults{LoginDelay: time.Duration(n-1) * delay} })
		return run(t, srv, ami.WithActionLanes(2))
	}
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		begin := time.Now()
		c := start(t, srv, time.Second)
		require.NoError(t, c.Ready(t.Context()))
		require.Equal(t, 2*time.Second, time.Since(begin))
		for _, l := range c.Stats().Lanes {
			require.Equal(t, ami.Ready, l.State)
		}
	})
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := start(t, srv, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, c.Ready(ctx), "it takes actions")
		require.Error(t, ctx.Err())
		require.NoError(t, c.Ready(t.Context()))
		require.Equal(t, ami.Disconnected, c.Stats().Lanes[0].State, "its login has timed out")
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
	})
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.OnConnect(func(n int) amitest.Faults { return amitest.Faults{LoginDelay: time.Duration(n-1) * time.Second} })
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		c, err := ami.Dial(ctx, node(srv), ami.WithDialer(srv.DialContext), ami.WithActionLanes(2))
		require.NoError(t, err, "the verdict is that of the session of the events")
		defer c.Close()
		require.NoError(t, srv.WaitSessions(t.Context(), 3))
	})
}

// TestClusterWithLanes: a hundred nodes with two lanes each dial through the same
// permits, at the start and after all of them were lost (E3).
func TestClusterWithLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, lanes, permits = 100, 2, 16
		f, dials := newWatchedFleet(t, size, ami.WithConnectLimit(permits), ami.WithActionLanes(lanes))
		f.setFaults(amitest.Faults{ConnectDelay: 10 * time.Millisecond})
		check := func() (most int) {
			for _, srv := range f.list {
				require.NoError(t, srv.WaitSessions(t.Context(), 1+lanes))
			}
			most, at := dials.take()
			for addr, times := range at {
				require.GreaterOrEqual(t, len(times), 1+lanes, addr)
			}
			return most
		}
		f.run(t)
		require.Equal(t, permits, check())
		f.kickAll()
		require.NoError(t, f.Ready(t.Context(), 0))
		require.LessOrEqual(t, check(), permits, "their waits are random: it need not come to a crowd")
		for key, r := range f.Broadcast(t.Context(), action.Ping{}) {
			require.NoError(t, r.Err, key)
		}
		// A blocking action on each node, and another Broadcast beside it.
		for _, c := range f.Nodes() {
			c.Start(t.Context(), action.New("WaitEvent", "Timeout", "60").Answered(
				strategy.Strategy{Kind: strategy.List, Terminal: []string{"WaitEventComplete"}, Unannounced: true, Blocking: true, Timeout: time.Hour}))
		}
		synctest.Wait()
		begin := time.Now()
		for key, r := range f.Broadcast(t.Context(), action.Ping{}) {
			require.NoError(t, r.Err, key)
		}
		require.Less(t, time.Since(begin), time.Second)
	})
}

// TestPermitComesTooLate: a lane that gets its permit when the session of the
// events is down passes it on: it would only be refused once more (D5, E3).
func TestPermitComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, ami.WithConnectLimit(1), ami.WithActionLanes(2))
		good, silent := f.list[0], f.list[1]
		silent.SetFaults(amitest.Faults{HalfOpen: true})         // holds the permit for 3 s
		good.SetFaults(amitest.Faults{BannerDelay: time.Second}) // so that the silent one is next
		done := make(chan error, 1)
		go func() { done <- f.Run(context.WithoutCancel(t.Context())) }()
		require.NoError(t, good.WaitSessions(t.Context(), 1))
		time.Sleep(time.Second) // fake: its lanes wait behind the silent node
		good.SetFaults(amitest.Faults{LoginError: "Authentication failed"})
		good.Session(eventSession).Kick()
		time.Sleep(10 * time.Minute) // fake
		c, _ := f.Node("pbx1")
		s := c.Stats()
		require.Positive(t, s.Failures)
		require.Len(t, sessionsOf(good, "Login"), 1+int(s.Failures))
		for _, l := range s.Lanes {
			require.Zero(t, l.Failures)
			require.Equal(t, ami.Connecting, l.State)
		}

		good.SetFaults(amitest.Faults{})
		silent.SetFaults(amitest.Faults{})
		require.NoError(t, f.Ready(t.Context(), 0))
		require.NoError(t, good.WaitSessions(t.Context(), 3))
		require.NoError(t, f.Close())
		require.NoError(t, <-done)
	})
}
