package ami_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(testServerEnv); mode != "" {
		if err := serveTest(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func node(srv *amitest.Server) ami.Node {
	return ami.Node{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}
}

// dial returns a client that is ready, and closes it with the test.
func dial(t *testing.T, srv *amitest.Server, opts ...ami.Option) *ami.Client {
	t.Helper()
	c, err := ami.Dial(t.Context(), node(srv), append([]ami.Option{ami.WithDialer(srv.DialContext)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// bubble runs a test with a fake server in fake time.
func bubble(t *testing.T, test func(*testing.T, *amitest.Server), opts ...amitest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(opts...)
		t.Cleanup(srv.Close)
		test(t, srv)
	})
}

func TestSendPing(t *testing.T) { // C3, D3
	for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
		t.Run(fmt.Sprint(auth), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				n := node(srv)
				n.Auth = auth
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
				require.NoError(t, err)
				r, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
				require.Equal(t, "Pong", r.Get("Ping"))
				require.Zero(t, c.Stats().Pending)
				require.NoError(t, c.Shutdown(t.Context()))
				require.Equal(t, ami.Disconnected, c.State())
				_, err = c.Send(t.Context(), action.Ping{})
				require.ErrorIs(t, err, ami.ErrClosed)
			})
		})
	}
}

func TestSendLists(t *testing.T) { // C2, C9
	for _, tc := range []struct {
		name  string
		a     action.Action
		items int
		end   string
	}{
		{"channels, none", action.CoreShowChannels{}, 0, "CoreShowChannelsComplete"},
		{"status, none", action.Status{}, 0, "StatusComplete"},
		{"peers without ActionID", action.IAXpeers{}, 2, "PeerlistComplete"},
		{"generic", action.New("CoreShowChannels"), 0, "CoreShowChannelsComplete"},
		{"statistics without a Response", action.IAXnetstats{}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				r, err := c.Send(t.Context(), tc.a)
				require.NoError(t, err)
				if tc.end != "" {
					require.Equal(t, tc.end, r.End.Name())
				}
				if tc.items > 0 {
					require.Len(t, r.Items, tc.items)
				}
				_, err = c.Send(t.Context(), action.Ping{})
				require.NoError(t, err, "the session goes on")
				require.Zero(t, c.Stats().Unmatched)
			})
		})
	}
}

func TestActionError(t *testing.T) { // C4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		_, err := c.Send(t.Context(), action.Custom("Frobnicate"))
		e, ok := errors.AsType[*ami.ActionError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, e.Message, "Invalid/unknown command: Frobnicate")
		require.False(t, ami.SafeToRetry(err))

		_, err = c.Send(t.Context(), action.Command{Command: "frobnicate the thing"})
		e, ok = errors.AsType[*ami.ActionError](err)
		require.True(t, ok, "%v", err)
		require.NotEmpty(t, e.Response.Output(), "the output of a failed command is kept")
	})
}

func TestEventsAndGap(t *testing.T) { // E7, F2, F3, D4, D5
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		sub := c.Subscribe(ami.Named("Test"))
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		require.NoError(t, c.Ready(t.Context()))

		srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "1"))
		e := <-sub.C()
		require.Equal(t, "pbx1", e.Node)
		require.Equal(t, "1", e.Get("N"))

		before := time.Now()
		srv.Sessions()[0].Kick()
		synctest.Wait()
		require.Equal(t, ami.Disconnected, c.State())
		e = <-sub.C()
		gap, ok := e.Gap()
		require.True(t, ok)
		require.Equal(t, time.Since(before), gap.Down, "exact in fake time")
		require.EqualValues(t, 1, gap.From)
		require.EqualValues(t, 2, gap.To)
		require.ErrorIs(t, gap.Reason, net.ErrClosed)

		require.NoError(t, c.Ready(t.Context()))
		srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "2"))
		e2 := <-sub.C()
		require.Equal(t, "2", e2.Get("N"))
		require.Greater(t, e2.Seq, e.Seq)
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
		_, open := <-sub.C()
		require.False(t, open)
	})
}

func TestResetFailsAllPending(t *testing.T) { // C5
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Hold", func(*amitest.Call) {}) // never answered
		c := dial(t, srv, ami.WithOutboundQueue(1000, 1<<20))
		const n = 1000
		var pending []*ami.Pending
		for i := range n {
			pending = append(pending, c.Start(t.Context(), action.Custom("Hold", "N", fmt.Sprint(i))))
		}
		require.NoError(t, srv.WaitAction(t.Context(), "Hold", n/2))
		srv.Sessions()[0].Reset()
		executed := map[string]bool{}
		sent := 0
		start := time.Now()
		for _, p := range pending {
			_, err := p.Result()
			e, ok := errors.AsType[*ami.ConnError](err)
			require.True(t, ok, "%v", err)
			require.ErrorIs(t, err, net.ErrClosed)
			executed[p.ActionID()] = e.Sent
			if e.Sent {
				sent++
			}
		}
		require.Less(t, time.Since(start), 30*time.Second)
		require.Zero(t, c.Stats().Pending)
		for _, entry := range srv.Ledger() {
			if entry.Action == "Hold" {
				require.True(t, executed[entry.ActionID], "Asterisk has it, so it may have been sent")
			}
		}
		require.NoError(t, c.Ready(t.Context()))
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		for _, entry := range srv.Ledger() {
			require.False(t, entry.Session != 1 && entry.Action == "Hold", "nothing crosses sessions")
		}
	})
}

func TestKeepalive(t *testing.T) { // D2: exact to the nanosecond
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithKeepalive(20*time.Second, 5*time.Second))
		sub := c.Subscribe()
		start := time.Now()
		srv.Sessions()[0].Silence(true)
		for change := range c.StateChanges(t.Context()) {
			require.Equal(t, ami.Disconnected, change.To)
			require.ErrorIs(t, change.Reason, ami.ErrKeepalive)
			require.Equal(t, 25*time.Second, change.At.Sub(start))
			break
		}
		for e, err := range sub.All(t.Context()) {
			require.NoError(t, err)
			if gap, ok := e.Gap(); ok {
				require.ErrorIs(t, gap.Reason, ami.ErrKeepalive)
				break
			}
		}
	})
}

func TestBlockingActionIsNotADeadPeer(t *testing.T) { // D2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithKeepalive(2*time.Second, time.Second), ami.WithReadIdle(5*time.Second))
		_, err := c.Send(t.Context(), action.WaitEvent{Timeout: 20 * time.Second})
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Stats().Connects)
	})
}

func TestSlowSubscriber(t *testing.T) { // E6
	for _, tc := range []struct {
		name  string
		opts  []ami.SubOption
		first string
		lost  uint64
	}{
		{"oldest", []ami.SubOption{ami.Buffer(10)}, "90", 90},
		{"newest", []ami.SubOption{ami.Buffer(10), ami.DropNewest()}, "0", 0},
		{"late", []ami.SubOption{ami.Buffer(5), ami.BlockUpTo(time.Minute)}, "0", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				slow := c.Subscribe(append(tc.opts, ami.Named("Test"))...)
				all := c.Subscribe(ami.Named("Test"))
				for i := range 100 {
					srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", fmt.Sprint(i)))
				}
				synctest.Wait()
				_, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err, "replies do not wait for subscribers")
				require.EqualValues(t, 90, slow.Dropped())
				require.Zero(t, all.Dropped())
				n := 0
				for e, err := range all.All(t.Context()) {
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(n), e.Get("N"))
					if n++; n == 100 {
						break
					}
				}
				for e, err := range slow.All(t.Context()) {
					require.NoError(t, err)
					require.Equal(t, tc.first, e.Get("N"))
					require.Equal(t, tc.lost, e.Lost)
					break
				}
			})
		})
	}
}

func TestBackpressure(t *testing.T) { // C6
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Hold", func(*amitest.Call) {})
		c := dial(t, srv, ami.WithPendingLimit(3))
		for range 3 {
			c.Start(t.Context(), action.Custom("Hold"))
		}
		_, err := c.Send(t.Context(), action.Ping{})
		e, ok := errors.AsType[*ami.BackpressureError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, 3, e.Depth)
		require.True(t, ami.SafeToRetry(err))
	})
}

func TestCancel(t *testing.T) { // C3
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Hold", func(*amitest.Call) {})
		c := dial(t, srv)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, action.Custom("Hold"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		p := c.Start(ctx, action.Custom("Hold"))
		_, err = p.Result()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, c.Stats().Pending)
	})
}

func TestNoHeaderInjection(t *testing.T) { // B6
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		_, err := c.Send(t.Context(), action.Originate{
			Channel: "Local/1@default", Application: "Wait",
			CallerID: "x\r\n\r\nAction: Command\r\nCommand: core stop now\r\n",
		})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "core stop now")
		_, err = c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		for _, e := range srv.Ledger() {
			require.NotEqual(t, "Command", e.Action)
			require.NotEqual(t, "Originate", e.Action)
		}
	})
}

func TestListStreams(t *testing.T) { // C2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) {
			c.ListStart("follows")
			for i := range 5 {
				c.Wait(time.Second)
				c.Event("Item", amitest.F("N", fmt.Sprint(i)))
			}
			c.ListComplete("SlowComplete", 5)
		})
		c := dial(t, srv)
		start, n := time.Now(), 0
		for f, err := range c.List(t.Context(), action.Custom("Slow")) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(n), f.Get("N"))
			n++
			require.Equal(t, time.Duration(n)*time.Second, time.Since(start), "as they come")
		}
		require.Equal(t, 5, n)
		for _, err := range c.List(t.Context(), action.Custom("Slow")) {
			require.NoError(t, err)
			break
		}
		require.Zero(t, c.Stats().Pending)
		var last error
		for _, err := range c.List(t.Context(), action.Custom("Frobnicate")) {
			last = err
		}
		require.Error(t, last)
	})
}

func TestDialErrors(t *testing.T) { // D2, D3, B5
	for _, tc := range []struct {
		name   string
		server []amitest.Option
		change func(*ami.Node)
		op     string
		says   string
	}{
		{"wrong secret", nil, func(n *ami.Node) { n.Secret = ami.NewSecret("hunter2") }, "login", "manager.conf"},
		{"SSH server", []amitest.Option{amitest.WithBanner("SSH-2.0-OpenSSH_9.2")}, nil, "banner", "another service"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				n := node(srv)
				if tc.change != nil {
					tc.change(&n)
				}
				_, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.op, e.Op)
				require.ErrorContains(t, err, tc.says)
				require.NotContains(t, err.Error(), "hunter2")
			}, tc.server...)
		})
	}
}

func TestConfigErrors(t *testing.T) { // D2, B2
	good := ami.Node{Key: "a", Addr: "h", Username: "u", Secret: ami.NewSecret("s")}
	for _, tc := range []struct {
		name string
		node func(*ami.Node)
		opt  ami.Option
		key  string
	}{
		{"zero duration", nil, ami.WithDialTimeout(0), "DialTimeout"},
		{"negative duration", nil, ami.WithReadIdle(-1), "ReadIdle"},
		{"idle below keepalive", nil, ami.WithReadIdle(time.Second), "ReadIdle"},
		{"floor above base", nil, ami.WithBackoff(time.Second, time.Minute, time.Hour), "Backoff floor"},
		{"no key", func(n *ami.Node) { n.Key = "" }, nil, "Node.Key"},
		{"odd key", func(n *ami.Node) { n.Key = "a b" }, nil, "Node.Key"},
		{"host name with literal policy", nil, ami.WithLiteralAddresses(), "Node.Addr"},
		{"bad port", func(n *ami.Node) { n.Addr = "h:99999" }, nil, "Node.Addr"},
		{"mask given twice", func(n *ami.Node) { n.Events = "on" }, ami.WithEventsOnDemand(), "Node.Events"},
		{"no secret", func(n *ami.Node) { n.Secret = ami.Secret{} }, nil, "Node.Secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, opts := good, []ami.Option{}
			if tc.node != nil {
				tc.node(&n)
			}
			if tc.opt != nil {
				opts = append(opts, tc.opt)
			}
			_, err := ami.New(n, opts...)
			e, ok := errors.AsType[*ami.ConfigError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.key, e.Key)
		})
	}
}

func TestPanickingPredicate(t *testing.T) { // C8
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		bad := c.Subscribe(ami.Where(func(event.Event) bool { panic("no") }))
		good := c.Subscribe(ami.Named("Test"))
		srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "1"))
		require.Equal(t, "1", (<-good.C()).Get("N"))
		bad.Close()
		require.Positive(t, c.Stats().Delivery.PredicatePanics)
	})
}
