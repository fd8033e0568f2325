package ami_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

var asyncCall = action.Originate{Channel: "Local/100@default", Application: "Wait", Data: "1", Async: true}

// A desk takes Originate actions and answers when the test says so.
type desk struct {
	*amitest.Server
	calls chan *amitest.Call
}

func newDesk(srv *amitest.Server) desk {
	d := desk{srv, make(chan *amitest.Call, 16)}
	srv.Handle("Originate", func(c *amitest.Call) { d.calls <- c })
	return d
}

// tell sends the event that decides the call, to every session that has events.
func (d desk) tell(c *amitest.Call) {
	d.Broadcast("OriginateResponse", amitest.ClassCall, amitest.F("ActionID", c.ActionID()), amitest.F("Response", "Success"), amitest.F("Reason", "4"))
}

// died requires that p fails now, with its session, and returns the error.
func died(t *testing.T, p *ami.Pending, lane int, sent bool) {
	t.Helper()
	synctest.Wait()
	select {
	case <-p.Done():
	default:
		require.Fail(t, "still pending")
	}
	_, err := p.Result()
	e, ok := errors.AsType[*ami.ConnError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "pbx1", e.Node)
	require.Equal(t, "session", e.Op)
	require.Equal(t, lane, e.Lane)
	require.Equal(t, sent, e.Sent)
	require.Equal(t, !sent, ami.SafeToRetry(err))
}

// TestAsyncOriginateByALane: the answer comes in two parts, the Response on the
// lane and the event on the session of the events, in any order (C2, F2).
func TestAsyncOriginateByALane(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) { // as Asterisk does it
		c := dial(t, srv, ami.WithActionLanes(1))
		sub := c.Subscribe(ami.Named("OriginateResponse"))
		r, err := c.Send(t.Context(), asyncCall)
		require.NoError(t, err)
		require.Equal(t, "OriginateResponse", r.End.Name())
		require.Equal(t, []int{laneSession}, sessionsOf(srv, "Originate"))
		require.Equal(t, r.ActionID, (<-sub.C()).Get("ActionID"), "and everybody hears of it")
		require.Zero(t, c.Stats().Unmatched)
	})
	bubble(t, func(t *testing.T, srv *amitest.Server) { // the event overtakes the Response
		d := newDesk(srv)
		c := dial(t, srv, ami.WithActionLanes(1))
		p := c.Start(t.Context(), asyncCall)
		call := <-d.calls
		d.tell(call)
		synctest.Wait()
		require.Equal(t, 1, c.Stats().Pending)
		call.Success("Originate successfully queued")
		r, err := p.Result()
		require.NoError(t, err)
		require.Equal(t, "4", r.End.Get("Reason"))
		require.Equal(t, "Originate successfully queued", r.Message())
	})
}

// TestAsyncAndTheEventSession: when the session dies on which the event would
// have come, the action fails at once, accepted or not, and its lane lives
// (C3, C5).
func TestAsyncAndTheEventSession(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			d := newDesk(srv)
			c := dial(t, srv, ami.WithActionLanes(1))
			p, other := c.Start(t.Context(), asyncCall), c.Start(t.Context(), action.Ping{})
			call := <-d.calls
			if accepted {
				call.Success("Originate successfully queued")
			}
			_, err := other.Result()
			require.NoError(t, err)
			srv.Session(eventSession).Kick()
			died(t, p, 0, true)
			require.Equal(t, ami.Ready, c.Stats().Lanes[0].State)
			require.NoError(t, c.Ready(t.Context()))
			d.tell(call) // to a session that knows nothing of it
			synctest.Wait()
			require.Equal(t, []int{laneSession}, sessionsOf(srv, "Originate"), "once")
			require.EqualValues(t, 1, c.Stats().Lanes[0].Connects, "the lane was not touched")
		})
	}
}

// TestEventSessionDiesBehindTheEvent: the event has come, so that only the Response
// is awaited, on a session that lives (C3, C5).
func TestEventSessionDiesBehindTheEvent(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		d := newDesk(srv)
		c := dial(t, srv, ami.WithActionLanes(1))
		p := c.Start(t.Context(), asyncCall)
		call := <-d.calls
		d.tell(call)
		synctest.Wait()
		srv.Session(eventSession).Kick()
		synctest.Wait()
		call.Success("Originate successfully queued")
		r, err := p.Result()
		require.NoError(t, err)
		require.Equal(t, "4", r.End.Get("Reason"))
	})
}

// TestAsyncAndItsLane: its lane may die once the Response is there, since the
// rest comes elsewhere. Before that nobody knows whether it was taken (C3, C5).
func TestAsyncAndItsLane(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		d := newDesk(srv)
		c := dial(t, srv, ami.WithActionLanes(1))
		asked, accepted := c.Start(t.Context(), asyncCall), c.Start(t.Context(), asyncCall)
		calls := map[string]*amitest.Call{}
		for range 2 {
			call := <-d.calls
			calls[call.ActionID()] = call
		}
		calls[accepted.ActionID()].Success("Originate successfully queued")
		synctest.Wait()
		srv.Session(laneSession).Reset()
		died(t, asked, 1, true)
		for _, call := range calls {
			d.tell(call)
		}
		r, err := accepted.Result()
		require.NoError(t, err)
		require.Equal(t, "4", r.End.Get("Reason"))
		for _, e := range srv.Ledger() {
			require.True(t, e.Executed, "%v: Sent was the truth", e.Action)
		}
		synctest.Wait()
		require.Equal(t, 0, c.Stats().Pending)
	})
}

// TestUnsentAsync: an action that its lane had not written when the session of
// the events died never reaches Asterisk, though the lane lives on (C5, C6).
func TestUnsentAsync(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, socket := dialStuck(t, srv, ami.WithActionLanes(1)) // the last one dialled, the lane's
		gate := make(chan struct{})
		socket.gate.Store(&gate)
		ping := c.Start(t.Context(), action.Ping{})
		synctest.Wait()
		p := c.Start(t.Context(), asyncCall)
		srv.Session(eventSession).Kick()
		died(t, p, 0, false)
		socket.gate.Store(nil)
		close(gate)
		_, err := ping.Result()
		require.NoError(t, err, "the lane goes on")
		synctest.Wait()
		require.Empty(t, sessionsOf(srv, "Originate"))
	})
}

// TestNoActionWithoutEvents: a node whose events are away takes no actions,
// although a lane could (D1).
func TestNoActionWithoutEvents(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(1), ami.WithBackoff(time.Second, time.Second, time.Second))
		before := len(srv.Ledger())
		srv.Session(eventSession).Kick()
		synctest.Wait()
		_, err := c.Send(t.Context(), action.Ping{})
		e, ok := errors.AsType[*ami.NotReadyError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, ami.Disconnected, e.State)
		require.Equal(t, ami.Ready, c.Stats().Lanes[0].State)
		require.Len(t, srv.Ledger(), before, "nothing was sent")
		require.NoError(t, c.Ready(t.Context()))
		_, err = c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		require.Equal(t, []int{laneSession}, sessionsOf(srv, "Ping"))
	})
}

// TestWhileALaneIsDown: its actions take the session of the events (E5).
func TestWhileALaneIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithActionLanes(1))
		send := func() {
			_, err := c.Send(t.Context(), action.New("CoreStatus"))
			require.NoError(t, err)
		}
		send()
		srv.Session(laneSession).Kick()
		synctest.Wait()
		send()
		for change := range c.StateChanges(t.Context()) {
			require.Zero(t, change.LanesDown)
			break
		}
		send()
		require.Equal(t, []int{laneSession, eventSession, laneSession + 1}, sessionsOf(srv, "CoreStatus"))
	})
}
