package ami_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// A fleet is some fake servers and the cluster of them, pbx1 first. It is used
// within a bubble.
type fleet struct {
	*ami.Cluster
	servers map[string]*amitest.Server // by address
	list    []*amitest.Server
}

// newFleet makes a cluster that is not running yet.
func newFleet(t *testing.T, size int, opts ...ami.Option) *fleet {
	t.Helper()
	f := &fleet{servers: map[string]*amitest.Server{}}
	var nodes []ami.Node
	for i := range size {
		nodes = append(nodes, f.serve(t, fmt.Sprint("pbx", i+1)))
	}
	var err error
	f.Cluster, err = ami.NewCluster(nodes, append([]ami.Option{ami.WithDialer(f.dial)}, opts...)...)
	require.NoError(t, err)
	return f
}

// serve makes one more fake server and the node that stands for it.
func (f *fleet) serve(t *testing.T, key string, opts ...amitest.Option) ami.Node {
	t.Helper()
	srv := amitest.NewServer(opts...)
	t.Cleanup(srv.Close)
	addr := fmt.Sprintf("10.0.%d.%d:5038", len(f.list)/250, len(f.list)%250+1)
	f.servers[addr] = srv
	f.list = append(f.list, srv)
	n := node(srv)
	n.Key, n.Addr = key, addr
	return n
}

// apart is the pause between what a test does to one node after the other. The
// race detector crashes now and then when timers of many goroutines in a bubble
// are due in the very same instant (golang/go#78156), and no two real nodes do
// anything in the same nanosecond.
const apart = time.Microsecond

// dial connects to the server at addr, each in its own instant.
func (f *fleet) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		b := a.Addr().As4()
		time.Sleep(time.Duration(int(b[2])*250+int(b[3])) * apart) // fake
	}
	return f.servers[addr].DialContext(ctx, network, addr)
}

// run runs the cluster until the end of the test and waits for all nodes.
func (f *fleet) run(t *testing.T) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		require.NoError(t, <-done)
	})
	require.NoError(t, f.Ready(t.Context(), 0))
}

func TestClusterConfigErrors(t *testing.T) { // E1
	n := ami.Node{Key: "a", Addr: "10.0.0.1", Username: "u", Secret: ami.NewSecret("s")}
	for name, tc := range map[string]struct {
		nodes []ami.Node
		opts  []ami.Option
		key   string
	}{
		"no nodes":       {nil, nil, "nodes"},
		"duplicate key":  {[]ami.Node{n, n}, nil, "Node.Key"},
		"bad node":       {[]ami.Node{{Key: "x y"}}, nil, "Node.Key"},
		"weight of zero": {[]ami.Node{n}, []ami.Option{ami.WithWeights(map[string]int{"a": 0})}, "Weights"},
		"no permits":     {[]ami.Node{n}, []ami.Option{ami.WithConnectLimit(0)}, "ConnectLimit"},
		"two choices":    {[]ami.Node{n}, []ami.Option{ami.WithDefaultNode("a"), ami.WithRouter(ami.RoundRobin())}, "DefaultNode"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ami.NewCluster(tc.nodes, tc.opts...)
			var config *ami.ConfigError
			require.ErrorAs(t, err, &config)
			require.Equal(t, tc.key, config.Key)
		})
	}
	t.Run("option of clusters for a client", func(t *testing.T) {
		_, err := ami.New(n, ami.WithConnectLimit(3))
		var config *ami.ConfigError
		require.ErrorAs(t, err, &config)
		require.Equal(t, "ConnectLimit", config.Key)
	})
}

func TestClusterRouting(t *testing.T) { // E1, E2
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		_, err := f.Send(t.Context(), action.Ping{})
		require.ErrorIs(t, err, ami.ErrNoNode)
		require.True(t, ami.SafeToRetry(err))
		f.run(t)

		for i := range 6 { // in turn
			r, err := f.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("pbx", i%3+1), r.Node)
		}
		r, err := f.Send(t.Context(), action.Ping{}, ami.To("pbx2"))
		require.NoError(t, err)
		require.Equal(t, "pbx2", r.Node)
		_, err = f.Send(t.Context(), action.Ping{}, ami.To("pbx9"))
		require.ErrorIs(t, err, ami.ErrNoNode)
		r, err = f.Send(t.Context(), action.Ping{}, ami.Among("pbx3"))
		require.NoError(t, err)
		require.Equal(t, "pbx3", r.Node)

		home := func(key string) string {
			r, err := f.Send(t.Context(), action.Ping{}, ami.ByKey(key))
			require.NoError(t, err)
			return r.Node
		}
		homes := map[string]string{}
		for i := range 100 {
			key := fmt.Sprint("call-", i)
			homes[key] = home(key)
		}
		require.NoError(t, f.Add(f.serve(t, "pbx4")))
		require.NoError(t, f.Ready(t.Context(), 4))
		moved := 0
		for key, node := range homes {
			if now := home(key); now != node {
				moved++
				require.Equal(t, "pbx4", now, "keys move to the new node only")
			}
		}
		require.Positive(t, moved)
		require.Less(t, moved, 50)
		require.NoError(t, f.Remove(t.Context(), "pbx4"))
		for key, node := range homes {
			require.Equal(t, node, home(key))
		}

		f.list[1].Close() // pbx2
		synctest.Wait()
		_, err = f.Send(t.Context(), action.Ping{}, ami.To("pbx2"))
		var notReady *ami.NotReadyError
		require.ErrorAs(t, err, &notReady)
		require.Equal(t, "pbx2", notReady.Node)
		for range 10 {
			r, err := f.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			require.NotEqual(t, "pbx2", r.Node)
		}
		for key, node := range homes {
			if now := home(key); node != "pbx2" {
				require.Equal(t, node, now, "only the keys of the lost node move")
			}
		}
		require.Equal(t, ami.Disconnected, f.States()["pbx2"])
	})
}

func TestFailoverAndDefaultNode(t *testing.T) { // E1, E2
	for name, tc := range map[string]struct {
		opt  ami.Option
		want []string // before and after the loss of pbx2; "" is none
	}{
		"failover":     {ami.WithRouter(ami.Failover("pbx9", "pbx2", "pbx1")), []string{"pbx2", "pbx1"}},
		"default node": {ami.WithDefaultNode("pbx2"), []string{"pbx2", ""}},
		"nothing":      {ami.WithRouter(nowhere{}), []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3, tc.opt)
				f.run(t)
				for i, want := range tc.want {
					r, err := f.Send(t.Context(), action.Ping{})
					if want == "" {
						var none *ami.NoNodeError
						require.ErrorAs(t, err, &none)
						require.Equal(t, 3-i, none.Ready)
						require.Contains(t, err.Error(), "Ping")
					} else {
						require.NoError(t, err)
						require.Equal(t, want, r.Node)
					}
					f.list[1].Close()
					synctest.Wait()
				}
			})
		})
	}
}

type nowhere struct{}

func (nowhere) Route(action.Action, []*ami.Client) *ami.Client { return nil }

func TestBroadcast(t *testing.T) { // E2
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 5)
		f.run(t)
		f.list[4].Close()
		synctest.Wait()
		got := map[string]error{}
		for key, r := range f.Broadcast(t.Context(), action.Ping{}) {
			got[key] = r.Err
			if r.Err == nil {
				require.Equal(t, key, r.Response.Node)
			}
		}
		require.Len(t, got, 5)
		var notReady *ami.NotReadyError
		require.ErrorAs(t, got["pbx5"], &notReady)
		delete(got, "pbx5")
		for _, err := range got {
			require.NoError(t, err)
		}

		got = map[string]error{}
		for key, r := range f.Broadcast(t.Context(), action.Ping{}, ami.Among("pbx1", "pbx9", "pbx1")) {
			got[key] = r.Err
		}
		require.Len(t, got, 2)
		require.NoError(t, got["pbx1"])
		require.ErrorIs(t, got["pbx9"], ami.ErrNoNode)

		for range f.Broadcast(t.Context(), action.Ping{}) {
			break // leaving early leaves nothing behind
		}
		synctest.Wait()
		for _, c := range f.Nodes() {
			require.Zero(t, c.Stats().Pending)
		}
	})
}

func TestClusterList(t *testing.T) { // E2
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.run(t)
		f.list[2].Close()
		synctest.Wait()
		items := map[string][]*frame.Frame{}
		failed := map[string]error{}
		for item, err := range f.List(t.Context(), action.QueueStatus{}) {
			if err != nil {
				require.Nil(t, item.Frame)
				failed[item.Node] = err
				continue
			}
			items[item.Node] = append(items[item.Node], item.Frame)
		}
		require.Len(t, failed, 1)
		require.Error(t, failed["pbx3"])
		require.NotEmpty(t, items["pbx1"])
		require.Len(t, items["pbx2"], len(items["pbx1"]))
		for _, err := range f.List(t.Context(), action.QueueStatus{}) {
			if err == nil {
				break
			}
		}
		synctest.Wait()
		for _, c := range f.Nodes() {
			require.Zero(t, c.Stats().Pending)
		}
	})
}

// TestRemoveTellsTheEnd: a subscription to all goes on, one to the node ends
// behind a final gap, and the key can be used again (E1, E7).
func TestRemoveTellsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		all := f.Subscribe()
		c, ok := f.Node("pbx1")
		require.True(t, ok)
		own := c.Subscribe()
		only2 := f.Subscribe(ami.FromNode("pbx2"))
		f.run(t)
		require.ErrorIs(t, c.Run(t.Context()), ami.ErrClosed)
		require.NoError(t, f.Remove(t.Context(), "pbx1"))
		_, err := c.Send(t.Context(), action.Ping{})
		require.ErrorIs(t, err, ami.ErrClosed)
		require.ErrorIs(t, f.Remove(t.Context(), "pbx1"), ami.ErrNoNode)
		var last event.Event
		for e, err := range own.All(t.Context()) {
			require.NoError(t, err)
			last = e
		}
		gap, ok := last.Gap()
		require.True(t, ok)
		require.True(t, gap.Final())
		require.ErrorIs(t, gap.Reason, ami.ErrRemoved)

		require.NoError(t, f.Add(f.serve(t, "pbx1")))
		require.NoError(t, f.Ready(t.Context(), 2))
		synctest.Wait() // FullyBooted comes behind the login
		require.NoError(t, f.Close())
		var got []string
		for e, err := range all.All(t.Context()) {
			require.NoError(t, err)
			if e.Node == "pbx1" {
				got = append(got, e.String())
			}
		}
		require.Len(t, got, 3, "booted, removed, booted")
		for e, err := range only2.All(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, "pbx2", e.Node)
		}
		require.ErrorIs(t, f.Add(f.serve(t, "pbx7")), ami.ErrClosed)
		require.NoError(t, f.Close())
	})
}

// TestConnectLimit: a storm never exceeds the permits, and no node starves (E3).
func TestConnectLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 50, ami.WithConnectLimit(7))
		var mu sync.Mutex
		open, most := 0, 0
		limited := func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			open--
			mu.Unlock()
			return f.dial(ctx, network, addr)
		}
		var nodes []ami.Node
		for _, c := range f.Nodes() {
			n := c.Node()
			n.Secret = ami.NewSecret("secret")
			nodes = append(nodes, n)
		}
		require.NoError(t, f.Close())
		cl, err := ami.NewCluster(nodes, ami.WithConnectLimit(7), ami.WithDialer(limited))
		require.NoError(t, err)
		f.Cluster = cl
		start := time.Now()
		f.run(t)
		require.Equal(t, 7, most)
		require.Equal(t, 800*time.Millisecond, time.Since(start).Truncate(100*time.Millisecond), "50 nodes by 7")
	})
}

func TestClusterEnds(t *testing.T) { // A5, D7
	for _, name := range []string{"close", "shutdown", "context", "close before run"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3)
				events := f.Events()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "close before run" {
					require.NoError(t, f.Close())
					require.ErrorIs(t, f.Run(ctx), ami.ErrClosed)
				} else {
					done := make(chan error, 1)
					go func() { done <- f.Run(ctx) }()
					require.NoError(t, f.Ready(ctx, 3))
					require.ErrorIs(t, f.Run(ctx), ami.ErrClosed)
					switch name {
					case "close":
						require.NoError(t, f.Close())
					case "shutdown":
						go func() {
							for range events {
							}
						}()
						require.NoError(t, f.Shutdown(ctx))
					case "context":
						cancel()
					}
					require.NoError(t, <-done)
				}
				for range events {
				}
				require.NoError(t, f.Close())
				require.NoError(t, f.Shutdown(context.Background()))
				_, err := f.Send(t.Context(), action.Ping{})
				require.ErrorIs(t, err, ami.ErrNoNode)
				require.Error(t, f.Ready(t.Context(), 1))
			})
		})
	}
}

func TestClusterStateChanges(t *testing.T) { // D1, E1
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		ready := make(chan []string)
		go func() {
			var got []string
			for c := range f.StateChanges(t.Context()) {
				if c.To == ami.Ready {
					got = append(got, c.Node)
				}
			}
			slices.Sort(got)
			ready <- got
		}()
		synctest.Wait()
		f.run(t)
		require.NoError(t, f.Close())
		require.Equal(t, []string{"pbx1", "pbx2"}, <-ready)
	})
}
