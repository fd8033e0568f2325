package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
	amijs "github.com/apn/ami/bridge/jetstream"
	"github.com/apn/ami/bridge/lease"
)

// A member is one of several bridges that share nodes.
type member struct {
	cluster *ami.Cluster
	cancel  context.CancelFunc
	done    chan error
}

func join(t *testing.T, url, instance string, nodes []ami.Node) *member {
	t.Helper()
	return joinWith(t, url, nodes, bridge.Options{Dir: t.TempDir(), Instance: instance})
}

func joinWith(t *testing.T, url string, nodes []ami.Node, o bridge.Options) *member {
	t.Helper()
	return joinVia(t, amijs.Options{URL: url}, url, nodes, lease.Options{}, o)
}

// joinVia has a URL of their own for the leases, and options for them.
func joinVia(t *testing.T, records amijs.Options, leases string, nodes []ami.Node, l lease.Options, o bridge.Options) *member {
	t.Helper()
	cl, err := ami.NewCluster(nodes)
	require.NoError(t, err)
	broker, err := amijs.Open(t.Context(), records)
	require.NoError(t, err)
	_, js := client(t, leases)
	l.Instance = o.Instance
	keeper, err := lease.New(js, l)
	require.NoError(t, err)
	o.Leases, o.Nodes = keeper, nodes
	b, err := bridge.New(cl, broker, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{cluster: cl, cancel: cancel, done: make(chan error, 1)}
	go func() { m.done <- b.Run(ctx) }()
	t.Cleanup(cancel)
	return m
}

// holds waits until the member has so many nodes that are ready.
func (m *member) holds(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		ready := 0
		for _, s := range m.cluster.States() {
			if s == ami.Ready {
				ready++
			}
		}
		return ready == n && len(m.cluster.States()) == n
	}, soon, 10*time.Millisecond, "%d nodes", n)
}

func (m *member) leave(t *testing.T) {
	t.Helper()
	m.cancel()
	require.NoError(t, <-m.done)
}

// TestLeases: two bridges share four nodes; when one leaves, the other takes over,
// each takeover is told, and no event comes twice.
func TestLeases(t *testing.T) {
	s := serve(t)
	var nodes []ami.Node
	servers := make(map[string]*amitest.Server)
	for i := range 4 {
		srv := asterisk(t)
		key := "pbx" + strconv.Itoa(i+1)
		servers[key] = srv
		nodes = append(nodes, ami.Node{Key: key, Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")})
	}
	flood := func(phase string) {
		for _, srv := range servers {
			require.NoError(t, srv.Flood(t.Context(), 0, 100, amitest.F("Phase", phase)))
		}
		arrived(t, s.URL(), slices.Collect(maps.Keys(servers)), phase, 100) // what is on the socket when a node moves is lost
	}
	a := join(t, s.URL(), "a", nodes)
	a.holds(t, 4)
	flood("1")
	b := join(t, s.URL(), "b", nodes)
	a.holds(t, 2)
	b.holds(t, 2)
	flood("2")
	a.leave(t)
	b.holds(t, 4)
	flood("3")
	b.leave(t)

	_, js := client(t, s.URL())
	states, err := js.KeyValue(t.Context(), "AMI_STATES")
	require.NoError(t, err)
	for key := range servers {
		e, err := states.Get(t.Context(), key)
		require.NoError(t, err)
		var state bridge.NodeState
		require.NoError(t, json.Unmarshal(e.Value(), &state))
		require.Equal(t, "disconnected", state.State, "nobody has %s", key)
		require.True(t, strings.HasPrefix(state.Instance, "b-"), state.Instance)
	}
	stream, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	total := int(stream.CachedInfo().State.Msgs)
	c, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	messages, err := c.Messages()
	require.NoError(t, err)
	defer messages.Stop()
	events, takeovers, finals := make(map[string]int), make(map[string]int), 0
	holder, seqs, told := make(map[string]string), make(map[string]uint64), make(map[string]string)
	for range total {
		m, err := messages.Next()
		require.NoError(t, err)
		var p struct {
			ID, Instance, Node, Kind, Event string
			Seq                             uint64
			Headers                         map[string]any
			Gap                             struct{ Final bool }
		}
		require.NoError(t, json.Unmarshal(m.Data(), &p))
		if p.Event != "UserEvent" || p.Headers["Seq"] == "1" {
			told[p.Node] += "\n" + string(m.Data())
		}
		instance, _, _ := strings.Cut(p.ID, "/")
		switch p.Kind {
		case "takeover":
			takeovers[p.Node]++
			holder[p.Node], seqs[p.Node] = p.Instance, 0
			continue
		case "gap":
			if p.Gap.Final {
				finals++
			}
		case "event":
			if p.Event == "UserEvent" {
				events[p.Node+" "+p.Headers["Phase"].(string)]++
			}
		}
		require.Equal(t, holder[p.Node], instance, "only who holds the node publishes: %s", p.ID)
		require.Equal(t, seqs[p.Node]+1, p.Seq, p.ID)
		seqs[p.Node] = p.Seq
	}
	moved := 0
	for key := range servers {
		for _, phase := range []string{"1", "2", "3"} {
			require.Equal(t, 100, events[key+" "+phase], "%s in phase %s: %s", key, phase, told[key])
		}
		moved += takeovers[key] - 1
	}
	require.Equal(t, 2+2, moved, "two to b, and the two others when a left")
	require.Equal(t, 2+2+4, finals, "all that was let go of")
}

// arrived waits until the stream has the last of the n events of a phase of each
// node.
func arrived(t *testing.T, url string, nodes []string, phase string, n int) {
	t.Helper()
	_, js := client(t, url)
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), "AMI")
		if err != nil {
			return false
		}
		for _, node := range nodes {
			m, err := stream.GetLastMsgForSubject(t.Context(), "ami.events."+node+".UserEvent")
			if err != nil {
				return false
			}
			var p struct{ Headers struct{ Phase, Seq string } }
			if json.Unmarshal(m.Data, &p) != nil || p.Headers.Phase != phase || p.Headers.Seq != strconv.Itoa(n) {
				return false
			}
		}
		return true
	}, soon, 20*time.Millisecond, "phase %s", phase)
}

// TestLeasesSpool: what an instance has left in its spool is published by the next
// one before that ends the old token.
func TestLeasesSpool(t *testing.T) {
	srv := asterisk(t)
	nodes := []ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}
	s := &site{store: newJetStream(t)}
	s.revive(t)
	o := bridge.Options{Dir: t.TempDir(), Instance: "a", Grace: time.Second}
	a := joinWith(t, s.URL, nodes, o)
	a.holds(t, 1)
	require.NoError(t, srv.Flood(t.Context(), 0, 10))
	s.atLeast(t, 10)
	s.kill(t)
	require.NoError(t, srv.Flood(t.Context(), 0, 1000))
	require.Eventually(t, func() bool {
		c, ok := a.cluster.Node("pbx1")
		return ok && c.Stats().Events >= 1010 && a.cluster.Stats().Delivery.Buffered == 0
	}, soon, 10*time.Millisecond)
	a.leave(t)
	s.revive(t)
	defer s.kill(t)
	o.Grace = 0 // the default: all is to come
	again := joinWith(t, s.URL, nodes, o)
	again.holds(t, 1)
	again.leave(t)
	_, js := client(t, s.URL)
	stream, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("ami.events.pbx1.UserEvent"))
	require.NoError(t, err)
	require.Equal(t, uint64(1010), info.State.Subjects["ami.events.pbx1.UserEvent"])
}

// TestFencedWhileHeld: a holder that loses its right to publish while it has the
// lease takes the node over again and goes on.
func TestFencedWhileHeld(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limits amijs.Options
		lose   func(t *testing.T, url string, js jetstream.JetStream)
	}{
		{"another process takes the node", amijs.Options{}, func(t *testing.T, url string, _ jetstream.JetStream) {
			_, err := broker(t, url).Fence(t.Context(), bridge.Takeover{Node: "pbx1", Instance: "stranger", Time: time.Now()})
			require.NoError(t, err)
		}},
		{"the stream is too old", amijs.Options{MaxAge: 3 * time.Second}, func(t *testing.T, _ string, js jetstream.JetStream) {
			require.Eventually(t, func() bool { return lastOf(t, js, "Takeover") == "" }, soon, 10*time.Millisecond)
		}},
		{"the stream is purged", amijs.Options{}, func(t *testing.T, _ string, js jetstream.JetStream) {
			stream, err := js.Stream(t.Context(), "AMI")
			require.NoError(t, err)
			require.NoError(t, stream.Purge(t.Context()))
		}},
		{"the stream is deleted", amijs.Options{}, func(t *testing.T, _ string, js jetstream.JetStream) {
			require.NoError(t, js.DeleteStream(t.Context(), "AMI"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			tc.limits.URL = s.URL()
			first, err := amijs.Open(t.Context(), tc.limits) // makes the stream
			require.NoError(t, err)
			require.NoError(t, first.Close())
			srv := asterisk(t)
			m := join(t, s.URL(), "a", []ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}})
			m.holds(t, 1)
			_, js := client(t, s.URL())
			holder := ""
			require.Eventually(t, func() bool {
				require.NoError(t, srv.Flood(t.Context(), 0, 1))
				holder = lastOf(t, js, "UserEvent")
				return holder != ""
			}, soon, 20*time.Millisecond)
			tc.lose(t, s.URL(), js)
			require.Eventually(t, func() bool {
				require.NoError(t, srv.Flood(t.Context(), 0, 1))
				now := lastOf(t, js, "UserEvent")
				return now != "" && now != holder
			}, soon, 20*time.Millisecond, "events come again")
			require.NotEqual(t, "stranger", lastOf(t, js, "Takeover"))
			m.holds(t, 1)
			m.leave(t)
		})
	}
}

// lastOf returns the instance of the last record of pbx1 with a name, "" if there
// is none.
func lastOf(t *testing.T, js jetstream.JetStream, name string) string {
	t.Helper()
	stream, err := js.Stream(t.Context(), "AMI")
	if err != nil {
		return ""
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "ami.events.pbx1."+name)
	if err != nil {
		return ""
	}
	return m.Header.Get(amijs.HeaderInstance)
}

// TestLeasesOutOfReach: who has lost the leases out of sight, and publishes well,
// does not take nodes back from those who got them meanwhile.
func TestLeasesOutOfReach(t *testing.T) {
	s := serve(t)
	srv := asterisk(t)
	nodes := []ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}
	leases, freeze := frozen(t, s.URL())
	a := joinVia(t, amijs.Options{URL: s.URL()}, leases, nodes, lease.Options{TTL: 2 * time.Second, Grace: time.Second}, bridge.Options{Dir: t.TempDir(), Instance: "a"})
	a.holds(t, 1)
	freeze()
	b := join(t, s.URL(), "b", nodes)
	b.holds(t, 1)
	_, js := client(t, s.URL())
	taken := lastOf(t, js, "Takeover")
	require.True(t, strings.HasPrefix(taken, "b-"), taken)
	for range 50 { // for five seconds: both hear them
		require.NoError(t, srv.Flood(t.Context(), 100, 10))
	}
	require.Equal(t, taken, lastOf(t, js, "Takeover"), "it changed hands again")
	require.Eventually(t, func() bool { return lastOf(t, js, "UserEvent") == taken }, soon, 10*time.Millisecond)
	b.leave(t)
	a.leave(t)
}

// A noFence is a broker that cannot fence, as one with an old server.
type noFence struct{ *amijs.Broker }

func (noFence) Fence(context.Context, bridge.Takeover) (uint64, error) {
	return 0, errors.New("not today")
}

// TestNotReadyWithoutFence: a bridge that holds nodes and cannot take them over is
// not ready.
func TestNotReadyWithoutFence(t *testing.T) {
	s := serve(t)
	srv := asterisk(t)
	nodes := []ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}
	cl, err := ami.NewCluster(nodes)
	require.NoError(t, err)
	_, js := client(t, s.URL())
	keeper, err := lease.New(js, lease.Options{Instance: "a", TTL: 2 * time.Second, Grace: time.Second})
	require.NoError(t, err)
	b, err := bridge.New(cl, noFence{broker(t, s.URL())}, bridge.Options{Dir: t.TempDir(), Instance: "a", Leases: keeper, Nodes: nodes})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	require.Eventually(t, func() bool { return len(keeper.Held()) == 1 }, soon, 10*time.Millisecond)
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody))
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"nodes":1,"nodes_ready":0`)
	cancel()
	require.NoError(t, <-done)
}
