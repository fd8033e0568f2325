package ami_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// TestForgedAnswers: answers to actions that have not been written, with ids that
// can be guessed, complete nothing (C9).
func TestForgedAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, s := dialStuck(t, srv, ami.WithOutboundQueue(1, 128<<10))
		r, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		prefix := r.ActionID[:strings.LastIndexByte(r.ActionID, ':')+1]
		gate := make(chan struct{})
		s.gate.Store(&gate)
		defer func() { s.gate.Store(nil); close(gate) }()
		c.Start(t.Context(), action.Ping{})
		synctest.Wait()
		c.Start(t.Context(), action.Ping{})
		for i := range 20 { // answers to what was not sent yet
			go func() {
				time.Sleep(100 * time.Millisecond)
				_ = srv.Sessions()[0].Send(fmt.Appendf(nil, "Response: Success\r\nActionID: %s%d\r\n\r\n", prefix, i))
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Send(ctx, action.Ping{}, ami.WaitForRoom())
		var timeout *ami.TimeoutError
		require.ErrorAs(t, err, &timeout)
		require.False(t, timeout.Sent)
	})
}

// TestGivenUpListIsNoEvent: the items of a list that its caller gave up do not
// reach subscriptions (C3, D4).
func TestGivenUpListIsNoEvent(t *testing.T) {
	for name, a := range map[string]action.Action{"Status": action.Status{}, "IAXpeers": action.IAXpeers{}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.Handle("Status", func(c *amitest.Call) {
					c.ListStart("follows")
					c.Wait(2 * time.Second)
					c.Raw([]byte("Event: Status\r\nPrivilege: Call\r\nChannel: x\r\nActionID: " + c.ActionID() + "\r\n\r\n"))
					c.ListComplete("StatusComplete", 1)
				})
				srv.Handle("IAXpeers", func(c *amitest.Call) {
					c.ListStart("follows")
					c.Wait(2 * time.Second)
					c.Raw([]byte("Event: PeerEntry\r\nObjectName: x\r\n\r\n"))
					c.ListComplete("PeerlistComplete", 1)
				})
				c := dial(t, srv)
				s := c.Subscribe(ami.Named("Status", "PeerEntry"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := c.Send(ctx, a)
				require.Error(t, err)
				time.Sleep(5 * time.Second)
				n := 0
				cx, stop := context.WithTimeout(t.Context(), time.Millisecond)
				defer stop()
				for _, err := range s.All(cx) {
					if err == nil {
						n++
					}
				}
				require.Zero(t, n, "an answer that comes later is counted and dropped, says Send")
			})
		})
	}
}

// TestRowsOfAnother: the rows of an answer that was given up are not part of the
// next one (C9).
func TestRowsOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		n := 0
		srv.Handle("IAXnetstats", func(c *amitest.Call) {
			n++
			c.Wait(2 * time.Second)
			c.Raw(fmt.Appendf(nil, "row of call %d\r\n\r\n", n))
		})
		c := dial(t, srv)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, action.IAXnetstats{})
		require.Error(t, err)
		r, err := c.Send(t.Context(), action.IAXnetstats{})
		require.NoError(t, err)
		require.Len(t, r.Items, 1)
	})
}

// TestOversizeBroadcast: one that is discarded fails no action, whatever
// ActionID it echoes (B3, C9).
func TestOversizeBroadcast(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) {
			c.Raw([]byte("Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: X\r\nActionID: " + c.ActionID() + "\r\nBody: " + strings.Repeat("x", 2000) + "\r\n\r\n"))
			c.Success("done")
		})
		c := dial(t, srv, ami.WithLimits(frame.Limits{Line: 1024}))
		_, err := c.Send(t.Context(), action.Custom("Slow"))
		require.NoError(t, err, "C9: an event that merely carries the id")
	})
}

// TestTimeoutWhileWaitingForRoom (C3, C6).
func TestTimeoutWhileWaitingForRoom(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, s := dialStuck(t, srv, ami.WithOutboundQueue(1, 128<<10))
		gate := make(chan struct{})
		s.gate.Store(&gate)
		c.Start(t.Context(), action.Ping{})
		synctest.Wait()
		c.Start(t.Context(), action.Ping{})
		start := time.Now()
		time.AfterFunc(4*time.Second, func() { s.gate.Store(nil); close(gate) })
		_, err := c.Send(t.Context(), action.Ping{}, ami.WaitForRoom(), ami.Timeout(time.Second))
		require.Error(t, err)
		require.Equal(t, time.Second, time.Since(start), "%v", err)
	})
}

// TestListOfMergedItems: items that come as one message with the end are one frame,
// and the end alone is none (C2).
func TestListOfMergedItems(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		items := ""
		srv.Handle("SKINNYdevices", func(c *amitest.Call) {
			c.ListStart("Device list will follow")
			c.Raw([]byte(items + "Event: DevicelistComplete\r\nActionID: " + c.ActionID() + "\r\nEventList: Complete\r\n\r\n"))
		})
		srv.Handle("SKINNYlines", func(c *amitest.Call) { c.Success("none") })
		c := dial(t, srv)
		list := func(a action.Action) (got [][]string) {
			for f, err := range c.List(t.Context(), a) {
				require.NoError(t, err)
				got = append(got, f.Values("ObjectName"))
			}
			return got
		}
		require.Empty(t, list(action.SKINNYdevices{}))
		require.Empty(t, list(action.SKINNYlines{}), "no list at all")
		items = "Event: DeviceEntry\r\nObjectName: a\r\nEvent: DeviceEntry\r\nObjectName: b\r\n"
		require.Equal(t, [][]string{{"a", "b"}}, list(action.SKINNYdevices{}))
	})
}

type nilAction struct{ action.Ping }

func (nilAction) AppendFields([]frame.Field) ([]frame.Field, error) { return nil, nil }

// TestBrokenAction: one that does not append to what it is given is refused.
func TestBrokenAction(t *testing.T) { // C7
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		_, err := dial(t, srv).Send(t.Context(), nilAction{})
		var invalid *action.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.True(t, ami.SafeToRetry(err))
	})
}
