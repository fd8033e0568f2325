package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDialer(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-for", "3s", "-calls", "5"}, &out))
	for _, want := range []string{"on fake1: ", "on fake2: ", "on fake3: ", "hangup: Normal Clearing", " busy"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "failed")
	require.Error(t, run(t.Context(), []string{"-calls", "0"}, &out))
	require.NoError(t, run(t.Context(), []string{"-for", "500ms", "-calls", "1", "-channel", "PJSIP/1\r\nX: y"}, &out))
	require.Contains(t, out.String(), " failed: ", "it is not tried for ever")
	require.Error(t, run(t.Context(), []string{"-node", "a"}, &out))
}

// dial runs a dialer on one fake server, in a bubble, and returns what it says.
func dial(t *testing.T, srv *amitest.Server, most int, longest, length time.Duration, meanwhile func(cl *ami.Cluster)) string {
	t.Helper()
	cluster, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: "10.0.0.1", Username: "admin", Secret: ami.NewSecret("secret")}},
		ami.WithDialer(srv.DialContext))
	require.NoError(t, err)
	var out bytes.Buffer
	d := newDialer(cluster, action.Originate{Channel: "PJSIP/1", Application: "Wait", Data: "1", Async: true}, longest, &out)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.run(ctx, most) }()
	meanwhile(cluster)
	require.NoError(t, <-done)
	require.Empty(t, d.calls)
	return out.String()
}

// talks lets every call be answered and live for d.
func talks(d time.Duration) amitest.Option {
	return amitest.WithDial(func(string) amitest.Dial {
		return amitest.Dial{Reason: amitest.ReasonAnswered, After: 20 * time.Millisecond, Talk: d}
	})
}

// TestOutOfSight: the server dies with its calls; no Hangup is ever sent.
func TestOutOfSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(talks(time.Hour))
		defer srv.Close()
		out := dial(t, srv, 3, time.Hour, 10*time.Second, func(*ami.Cluster) {
			time.Sleep(2 * time.Second) // fake
			srv.Drop()
			require.NoError(t, srv.Start(0))
		})
		require.Contains(t, out, "call 3 on pbx1: ended out of sight")
		require.Contains(t, out, "3 ended out of sight")
		require.Contains(t, out, "3 hung up by us")
	})
}

// TestInDoubt: the line dies under an Originate. It is not placed again, and the
// node is asked.
func TestInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(talks(time.Hour))
		defer srv.Close()
		srv.Handle("Originate", func(c *amitest.Call) {
			if n := srv.Session(1); n != nil {
				n.Reset()
				return
			}
			c.Error("Extension does not exist.")
		})
		out := dial(t, srv, 1, time.Hour, 3*time.Second, func(*ami.Cluster) {})
		require.Contains(t, out, "call 1 on pbx1: ended out of sight")
		require.Contains(t, out, "Extension does not exist.")
	})
}

// TestBounds: as many calls as allowed, none longer than allowed.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(talks(time.Hour))
		defer srv.Close()
		out := dial(t, srv, 4, 2*time.Second, 5*time.Second, func(cl *ami.Cluster) {
			time.Sleep(time.Second) // fake
			channels := 0
			for _, err := range cl.List(t.Context(), action.CoreShowChannels{}) {
				require.NoError(t, err)
				channels++
			}
			require.Equal(t, 4, channels)
		})
		require.Contains(t, out, "12 hung up by us")
	})
}

// TestRemovedNode: a node that leaves takes its calls out of sight, and nothing
// more is placed.
func TestRemovedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(talks(time.Hour))
		defer srv.Close()
		out := dial(t, srv, 2, time.Hour, 5*time.Second, func(cl *ami.Cluster) {
			time.Sleep(time.Second) // fake
			require.NoError(t, cl.Remove(t.Context(), "pbx1"))
		})
		require.Contains(t, out, "2 ended out of sight")
		require.Contains(t, out, "2 not placed")
	})
}
