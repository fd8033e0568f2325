package ami_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// whole replays a recording that has no timeline: the server sends all of it
// behind the login, and ends the connection if it ended it.
func whole(name string, eof bool) amitest.Option {
	chunks := []amitest.Chunk{
		{Bytes: []byte("Action: Login\r\nActionID: login-1\r\n\r\n")},
		{Server: true, Bytes: captures.Server(name)},
	}
	if eof {
		chunks = append(chunks, amitest.Chunk{Server: true, EOF: true})
	}
	return amitest.WithReplay(chunks, false)
}

// ready subscribes before the client runs, so that it sees the first event.
func ready(t *testing.T, srv *amitest.Server, opts ...ami.Option) (*ami.Client, *ami.Subscription) {
	t.Helper()
	c, err := ami.New(node(srv), append([]ami.Option{ami.WithDialer(srv.DialContext)}, opts...)...)
	require.NoError(t, err)
	sub := c.Subscribe(ami.Buffer(30_000))
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
	return c, sub
}

// until takes events up to the first that is wanted.
func until(t *testing.T, sub *ami.Subscription, want func(event.Event) bool) event.Event {
	t.Helper()
	for e, err := range sub.All(t.Context()) {
		require.NoError(t, err)
		if want(e) {
			return e
		}
	}
	require.Fail(t, "the subscription ended")
	return event.Event{}
}

func isGap(e event.Event) bool {
	_, ok := e.Gap()
	return ok
}

func TestRecordedRedirect(t *testing.T) { // C2, C4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, sub := ready(t, srv)
		require.NoError(t, c.Ready(t.Context()))
		a := action.Redirect{Channel: "Local/100@default-00000027;1", Context: "xfer", Exten: "200", Priority: "1"}
		r, err := c.Send(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, "Redirect successful", r.Message())
		e := until(t, sub, func(e event.Event) bool { return e.Name() == "Newexten" })
		require.Equal(t, "xfer", e.Get("Context"))

		nobody := a
		nobody.Channel = "Local/none-1;1"
		_, err = c.Send(t.Context(), nobody)
		refused, ok := errors.AsType[*ami.ActionError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "Channel does not exist: Local/none-1;1", refused.Message)
		require.Equal(t, "Redirect", refused.Action)

		// A context that does not exist is a Success, and the channel hangs up.
		nowhere := a
		nowhere.Context = "nosuch"
		r, err = c.Send(t.Context(), nowhere)
		require.NoError(t, err)
		require.Equal(t, "Redirect successful", r.Message())
		e = until(t, sub, func(e event.Event) bool { return e.Name() == "Hangup" })
		require.Equal(t, "nosuch", e.Get("Context"))
		require.Equal(t, a.Channel, e.Get("Channel"))

		r, err = c.Send(t.Context(), action.Logoff{})
		require.NoError(t, err)
		require.Equal(t, "Goodbye", r.Frame.Name())
	}, replay("4-redirect"))
}

// TestRecordedUserEvent: Asterisk copies the ActionID into the broadcast, which
// is an event like any other and completes nothing.
func TestRecordedUserEvent(t *testing.T) { // C9, F2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, sub := ready(t, srv)
		require.NoError(t, c.Ready(t.Context()))
		isUser := func(e event.Event) bool { return e.Name() == "UserEvent" }

		r, err := c.Send(t.Context(), action.UserEvent{UserEvent: "MyEvent", Headers: []frame.Field{
			amitest.F("Key1", "v1"), amitest.F("Url", "sip:a@b:5060"), amitest.F("Empty", ""),
			amitest.F("Utf8", "Grüße 日本語"), amitest.F("Key1", "dup"),
		}})
		require.NoError(t, err)
		require.Equal(t, "Event Sent", r.Message())
		require.Empty(t, r.Items)
		e := until(t, sub, isUser)
		require.Equal(t, "MyEvent", e.Get("UserEvent"))
		require.Equal(t, r.ActionID, e.Get("ActionID"))
		require.Equal(t, []string{"v1", "dup"}, e.Frame.Values("Key1"))
		require.Equal(t, "sip:a@b:5060", e.Get("Url"))
		require.Equal(t, "Grüße 日本語", e.Get("Utf8"))

		// The recorded client sent no ActionID: the Response is a stranger's.
		_, err = c.Send(t.Context(), action.UserEvent{UserEvent: "Raw"}, ami.Timeout(time.Second))
		late, ok := errors.AsType[*ami.TimeoutError](err)
		require.True(t, ok, "%v", err)
		require.True(t, late.Sent)
		require.EqualValues(t, 1, c.Stats().Unmatched)
		e = until(t, sub, isUser)
		require.Equal(t, "Raw", e.Get("UserEvent"))
		require.Equal(t, []string{"NoColonLine"}, e.Frame.Values(""))
		require.Equal(t, "nospace", e.Get("X"))
		require.Equal(t, "  3lead", e.Get("Y"))
		require.Equal(t, "spacebefore", e.Get("Z "))

		// Asterisk takes one without a name; the typed action does not.
		_, err = c.Send(t.Context(), action.UserEvent{})
		_, ok = errors.AsType[*action.InvalidError](err)
		require.True(t, ok, "%v", err)
		r, err = c.Send(t.Context(), action.New("UserEvent"))
		require.NoError(t, err)
		require.Equal(t, "Event Sent", r.Message())
		e = until(t, sub, isUser)
		require.Empty(t, e.Get("UserEvent"))
		require.Equal(t, r.ActionID, e.Get("ActionID"))

		_, err = c.Send(t.Context(), action.Logoff{})
		require.NoError(t, err)
		require.Zero(t, c.Stats().Pending)
	}, replay("4-userevent"))
}

// TestRecordedMD5: the key is the one that the real server accepted.
func TestRecordedMD5(t *testing.T) { // D3
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		n := node(srv)
		n.Auth, n.Secret = ami.AuthMD5, ami.NewSecret("s3cr3t-Adm1n")
		c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		defer c.Close()
		login, _ := recordedActions(t, "1-login-md5")
		want, err := login.AppendFields(nil)
		require.NoError(t, err)
		var sent string
		for _, f := range srv.Ledger()[1].Fields {
			if f.Key == "Key" {
				sent = f.Value
			}
			require.NotEqual(t, "Secret", f.Key)
		}
		require.Contains(t, want, amitest.F("Key", sent))
	}, replay("1-login-md5"))
}

// TestAuthLimit: too many connections without login, and the next one is closed
// without a greeting.
func TestAuthLimit(t *testing.T) { // B5, D2
	for _, tc := range []struct {
		name string
		opt  amitest.Option
		taps int // connections that wait for somebody to log in
	}{
		{"recorded", replay("7-authlimit"), 0},
		{"fake", amitest.WithAuthLimit(2), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var taps []net.Conn
				for range tc.taps {
					tap, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
					require.NoError(t, err)
					taps = append(taps, tap)
				}
				synctest.Wait()
				_, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext))
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, "banner", e.Op)
				require.False(t, e.Sent)
				require.ErrorIs(t, err, io.EOF)
				require.NotErrorIs(t, err, ami.ErrAuth, "it is retried like a dead line")
				require.ErrorContains(t, err, "authlimit in manager.conf")
				for _, tap := range taps {
					require.NoError(t, tap.Close())
				}
			}, tc.opt)
		})
	}
}

// TestRecordedSlowReader: Asterisk cut the stream of a client that did not read
// in the middle of a message. What was whole is delivered, the rest is not, and
// the next session starts clean.
func TestRecordedSlowReader(t *testing.T) { // B1, C5, E7
	const name, complete = "7-stop-reading-slow", 7582
	require.Equal(t, complete, captures.Expected()[name].Events)
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, sub := ready(t, srv, ami.WithEventQueue(30_000))
		var last event.Event
		for n := 1; n <= complete; n++ {
			e := until(t, sub, func(event.Event) bool { return true })
			require.EqualValues(t, n, e.Seq)
			require.Zero(t, e.Lost)
			require.NotEmpty(t, e.Name())
			last = e
		}
		require.Equal(t, "Newexten", last.Name())
		require.Contains(t, last.Get("AppData"), "Seq: 1079")

		e := until(t, sub, func(event.Event) bool { return true })
		gap, ok := e.Gap()
		require.True(t, ok, "the message that was cut off is no event: %v", e)
		require.ErrorIs(t, gap.Reason, io.ErrUnexpectedEOF)
		require.ErrorIs(t, gap.Reason, net.ErrClosed)
		lost, ok := errors.AsType[*ami.ConnError](gap.Reason)
		require.True(t, ok, "%v", gap.Reason)
		require.Equal(t, "session", lost.Op)
		require.ErrorContains(t, lost, "closed by Asterisk")
		require.Equal(t, "FullyBooted", until(t, sub, func(event.Event) bool { return true }).Name())
		require.Zero(t, c.Stats().Rejected)
		require.Zero(t, sub.Dropped())
	}, whole(name, true))
}

// A stalled socket stops delivering what it receives, as a process that does
// not get to read.
type stalled struct {
	net.Conn
	stop *atomic.Bool
	gate chan struct{} // closed: read on
}

func (s stalled) Read(p []byte) (int, error) {
	if s.stop.Load() {
		<-s.gate
	}
	return s.Conn.Read(p)
}

// TestSlowReaderIsCutOff: a client that does not get to read loses its session
// within Asterisk's write timeout, learns of it when it reads on, and no action
// waits for an answer that will not come.
func TestSlowReaderIsCutOff(t *testing.T) { // C5, E7, D5
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		stop, gate := new(atomic.Bool), make(chan struct{})
		c, sub := ready(t, srv, ami.WithEventQueue(30_000), ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			socket, err := srv.DialContext(ctx, network, addr)
			return stalled{socket, stop, gate}, err
		}))
		require.NoError(t, c.Ready(t.Context()))
		require.NoError(t, srv.Flood(t.Context(), 0, 100))
		synctest.Wait()
		stop.Store(true)
		srv.Broadcast("Last", amitest.ClassUser) // the read under way returns with it
		synctest.Wait()
		p := c.Start(t.Context(), action.Ping{})
		start := time.Now()
		for range 4000 { // 1.8 MB: more than the 256 KiB that the line holds
			srv.Broadcast("UserEvent", amitest.ClassUser, amitest.F("Pad", strings.Repeat("x", 440)))
		}
		require.NoError(t, srv.WaitConnections(t.Context(), 0))
		require.Equal(t, 100*time.Millisecond, time.Since(start), "the write timeout")
		require.Equal(t, ami.Ready, c.State(), "nobody has told the client yet")
		stop.Store(false)
		close(gate)

		_, err := p.Result()
		if err != nil { // the answer may stand before the cut
			e, ok := errors.AsType[*ami.ConnError](err)
			require.True(t, ok, "%v", err)
			require.True(t, e.Sent)
		}
		seq := uint64(0)
		e := until(t, sub, func(e event.Event) bool {
			require.Equal(t, seq+1, e.Seq)
			seq = e.Seq
			return isGap(e)
		})
		gap, _ := e.Gap()
		require.ErrorIs(t, gap.Reason, io.ErrUnexpectedEOF)
		require.Less(t, seq, uint64(4000), "what did not fit the line is lost, and the gap says so")
		require.NoError(t, c.Ready(t.Context()))
		_, err = c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
	})
}
