package ami_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/strategy"
)

// eventSession is the first connection of a client, and with one lane that of the
// lane is the second.
const (
	eventSession = 1
	laneSession  = 2
)

// sessionsOf returns the sessions that received the action, one for each time.
func sessionsOf(srv *amitest.Server, name string) (ids []int) {
	for _, e := range srv.Ledger() {
		if e.Action == name {
			ids = append(ids, e.Session)
		}
	}
	return ids
}

// TestPingInFlood: Asterisk answers a session's actions behind its events; on a
// lane there are none (C3, E5).
func TestPingInFlood(t *testing.T) {
	const events = 2000
	ping := func(lanes int) (took time.Duration, received uint64) {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithActionLanes(lanes))
			// Each event takes its time on the line, a short answer none.
			for _, s := range srv.Sessions() {
				s.SetFaults(amitest.Faults{SplitEvery: 300, SplitPause: time.Millisecond})
			}
			require.NoError(t, srv.Flood(t.Context(), 0, events))
			start := time.Now()
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			took, received = time.Since(start), c.Stats().Events
			time.Sleep(events * time.Millisecond) // fake: the rest of the flood
			synctest.Wait()
			require.EqualValues(t, 1+events, c.Stats().Events, "FullyBooted, and all of them once")
		})
		return took, received
	}
	took, received := ping(0)
	require.GreaterOrEqual(t, took, events*time.Millisecond)
	require.EqualValues(t, 1+events, received, "all events came first")
	took, received = ping(1)
	require.Zero(t, took)
	require.Less(t, received, uint64(10))
}

// TestLanesLogIn: each lane asks for no events, and the keepalive holds for each
// (D1, D2, D3).
func TestLanesLogIn(t *testing.T) {
	for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			n := node(srv)
			n.Auth, n.Events = auth, "call,user,system"
			log := newLogbook()
			c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithActionLanes(2), ami.WithLogger(slog.New(log)))
			require.NoError(t, err)
			defer c.Close()
			masks := map[string]int{}
			for _, e := range srv.Ledger() {
				for _, f := range e.Fields {
					if f.Key == "Events" {
						masks[f.Value]++
					}
				}
			}
			require.Equal(t, map[string]int{"call,user,system": 1, "off": 2}, masks)

			time.Sleep(10*time.Minute + time.Second) // fake
			s := c.Stats()
			require.EqualValues(t, 1, s.Connects)
			require.EqualValues(t, 1, s.Epoch)
			require.Len(t, s.Lanes, 2)
			epochs := map[uint64]bool{s.Epoch: true}
			for _, l := range s.Lanes {
				require.Equal(t, ami.Ready, l.State)
				require.Equal(t, "Asterisk Call Manager/11.0.0", l.Banner)
				require.EqualValues(t, 1, l.Connects)
				require.Zero(t, l.Losses, "a quiet lane is not taken for a dead one")
				epochs[l.Epoch] = true
			}
			require.Len(t, epochs, 3, "no two sessions have the same number")
			require.Len(t, sessionsOf(srv, "Ping"), 3*20, "every 30 s on each session")

			var lanes []any
			for _, r := range log.find("connected") {
				lanes = append(lanes, r["lane"])
			}
			require.ElementsMatch(t, []any{nil, int64(1), int64(2)}, lanes)
		})
	}
}

// TestLaneKeepalive: a lane that went silent is found as any session is, and the
// node stays up (D2).
func TestLaneKeepalive(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(1))
		start := time.Now()
		srv.Session(laneSession).Silence(true)
		for change := range c.StateChanges(t.Context()) {
			require.Equal(t, ami.Ready, change.From)
			require.Equal(t, ami.Ready, change.To)
			require.Equal(t, 1, change.LanesDown)
			require.ErrorIs(t, change.Reason, ami.ErrKeepalive)
			require.Equal(t, 45*time.Second, change.At.Sub(start))
			break
		}
		for change := range c.StateChanges(t.Context()) { // and comes back
			require.Zero(t, change.LanesDown)
			require.NoError(t, change.Reason)
			break
		}
		s := c.Stats()
		require.Equal(t, start, s.Since, "it is ready since then")
		require.NoError(t, s.Reason)
		require.EqualValues(t, 1, s.Lanes[0].Losses)
		require.EqualValues(t, 2, s.Lanes[0].Connects)
		require.Zero(t, s.Losses)
	})
}

// TestEventMaskStaysWithItsSession: what changes the events of a session goes to
// the one that has them (C7).
func TestEventMaskStaysWithItsSession(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(2))
		for _, a := range []action.Action{
			action.New("Events", "EventMask", "user"),
			action.New("eVENTS", "EventMask", "user"),
			action.New("filter", "Operation", "Add", "Filter", "Event: Test"),
			action.New("Ping").Answered(strategy.Strategy{Kind: strategy.EventOnly, Terminal: []string{"Pong"}}),
		} {
			_, _ = c.Send(t.Context(), a, ami.Timeout(time.Second))
		}
		synctest.Wait()
		require.Len(t, srv.LedgerOf(eventSession), 1+4, "and the login")
		sub := c.Subscribe()
		srv.Broadcast("Other", amitest.ClassUser)
		srv.Broadcast("Test", amitest.ClassUser)
		require.Equal(t, "Test", (<-sub.C()).Name(), "the filter works")
	})
}

// TestItemsWithoutActionIDOnALane: they belong to the list that is under way on
// the same session, not to that of another (C2, C9).
func TestItemsWithoutActionIDOnALane(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Events", func(call *amitest.Call) { // a list by the session of events
			call.ListStart("Peer entries will follow")
			call.Wait(time.Second)
			call.Raw([]byte("Event: PeerEntry\r\nObjectName: theirs\r\n\r\n"))
			call.ListComplete("PeerlistComplete", 1)
		})
		srv.Handle("IAXnetstats", func(call *amitest.Call) { call.Raw([]byte("IAX2/a 1 2\r\nIAX2/b 3 4\r\n\r\n")) })
		c := dial(t, srv, ami.WithActionLanes(1))
		synctest.Wait() // FullyBooted has come
		sub := c.Subscribe()
		events := action.New("Events").Answered(strategy.Strategy{
			Kind: strategy.List, Terminal: []string{"PeerlistComplete"}, NoActionID: []string{"PeerEntry"},
		})
		other := c.Start(t.Context(), events)
		require.NoError(t, srv.WaitAction(t.Context(), "Events", 1))
		r, err := c.Send(t.Context(), action.IAXpeers{})
		require.NoError(t, err)
		require.Len(t, r.Items, 2)
		r, err = c.Send(t.Context(), action.IAXnetstats{})
		require.NoError(t, err)
		require.NotEmpty(t, r.Items)
		require.Equal(t, []int{laneSession}, sessionsOf(srv, "IAXpeers"))
		require.Equal(t, []int{laneSession}, sessionsOf(srv, "IAXnetstats"))

		r, err = other.Result()
		require.NoError(t, err)
		require.Len(t, r.Items, 1)
		require.Equal(t, "theirs", r.Items[0].Get("ObjectName"))
		require.Zero(t, c.Stats().Unmatched)
		srv.Broadcast("Last", amitest.ClassUser)
		require.Equal(t, "Last", (<-sub.C()).Name(), "no item came out as an event")
	})
}

// TestLanePublishesNothing: an event that comes on a lane unasked is none: the
// session of the events has it (E6).
func TestLanePublishesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(1))
		synctest.Wait() // FullyBooted has come
		sub := c.Subscribe()
		require.NoError(t, srv.Session(laneSession).Send([]byte("Event: Stray\r\nPrivilege: user,all\r\n\r\n")))
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		srv.Broadcast("Test", amitest.ClassUser)
		require.Equal(t, "Test", (<-sub.C()).Name())
		require.EqualValues(t, 1, c.Stats().Unmatched)
	})
}

// TestLossOfALane: subscriptions do not hear of it, since no event was missed; the
// state tells, unless the node is away itself, which says more (D1, E7).
func TestLossOfALane(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(1))
		synctest.Wait() // FullyBooted has come
		sub := c.Subscribe()
		srv.Session(laneSession).Kick()
		synctest.Wait()
		require.NoError(t, srv.WaitSessions(t.Context(), 2))
		synctest.Wait() // the lane has logged in
		require.Equal(t, ami.Ready, c.Stats().Lanes[0].State)
		srv.Broadcast("Test", amitest.ClassUser)
		require.Equal(t, "Test", (<-sub.C()).Name())
		require.NoError(t, c.Ready(t.Context()))

		changes := c.StateChanges(t.Context())
		srv.Session(eventSession).Kick()
		synctest.Wait()
		srv.Sessions()[0].Kick() // the lane's
		down := -1
		for change := range changes {
			if change.LanesDown == 1 && down < 0 {
				down = int(change.To)
			}
			if change.From == change.To {
				require.Equal(t, ami.Ready, change.To)
				require.Zero(t, change.LanesDown)
				break
			}
		}
		require.Equal(t, int(ami.Connecting), down, "told with the next change")
		e := <-sub.C()
		gap, ok := e.Gap()
		require.True(t, ok, "and this is a gap")
		require.EqualValues(t, 1, gap.From)
	})
}

func TestActionLanesOption(t *testing.T) { // D2
	for _, n := range []int{-1, 9} {
		_, err := ami.New(ami.Node{Key: "a", Addr: "10.0.0.1", Username: "u", Secret: ami.NewSecret("s")}, ami.WithActionLanes(n))
		e, ok := errors.AsType[*ami.ConfigError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "ActionLanes", e.Key)
		require.Equal(t, n, e.Value)
	}
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		for _, n := range []int{0, 1, 8} {
			c := dial(t, srv, ami.WithActionLanes(n))
			require.NoError(t, srv.WaitSessions(t.Context(), 1+n))
			require.Len(t, c.Stats().Lanes, n)
			require.NoError(t, c.Close())
			require.NoError(t, srv.WaitSessions(t.Context(), 0))
		}
	})
}
