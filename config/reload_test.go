package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// A site is a cluster that runs on fake servers, and what was read last.
type site struct {
	*ami.Cluster
	servers  []*amitest.Server
	reloader *Reloader
}

// newSite starts the cluster of a file in which %[1]s and so on are the addresses
// of the servers, which stand in for addrs as well.
func newSite(t *testing.T, servers int, file string, addrs ...string) *site {
	t.Helper()
	s := new(site)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if i := slices.Index(addrs, addr); i >= 0 { // the server stands in for that address
			addr = s.servers[i].Addr()
		}
		return amitest.Dialer(s.servers...)(ctx, network, addr)
	}
	for range servers {
		srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: "secret"}), amitest.WithUser(amitest.User{Name: "other", Secret: "secret"}))
		t.Cleanup(srv.Close)
		s.servers = append(s.servers, srv)
	}
	c := s.parse(t, file)
	var err error
	s.Cluster, err = ami.NewCluster(c.Nodes(), append(c.Options(), ami.WithDialer(dial))...)
	require.NoError(t, err)
	s.reloader = NewReloader(s.Cluster, c)
	done := make(chan error)
	go func() { done <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, <-done)
	})
	require.NoError(t, s.Ready(t.Context(), 0))
	return s
}

func (s *site) parse(t *testing.T, file string) *Config {
	t.Helper()
	addrs := make([]any, len(s.servers))
	for i, srv := range s.servers {
		addrs[i] = srv.Addr()
	}
	c, err := Parse(fmt.Appendf(nil, file, addrs...), nil)
	require.NoError(t, err)
	return c
}

// sessions returns the client of each node and the number of its session.
func (s *site) sessions(t *testing.T) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for key, c := range s.Nodes() {
		m[key] = fmt.Sprintf("%p epoch %d", c, c.Stats().Epoch)
	}
	return m
}

// TestReload: nodes come, go and change, and the others keep their sessions.
func TestReload(t *testing.T) { // E1, H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 4, `
defaults: {username: admin, secret: secret}
nodes:
- {key: kept, addr: "%[1]s"}
- {key: changed, addr: "%[2]s"}
- {key: gone, addr: "%[3]s"}
# %[4]s
`)
		before := s.sessions(t)
		changes, err := s.reloader.Apply(t.Context(), s.parse(t, `
defaults: {username: admin, secret: secret}
nodes:
- {key: new, addr: "%[4]s"}
- {key: changed, addr: "%[2]s", username: other}
- {key: kept, addr: "%[1]s", auth: plain, events: "on", weight: 1}
# %[3]s
`))
		require.NoError(t, err)
		require.Equal(t, Changes{Added: []string{"new"}, Removed: []string{"gone"}, Replaced: []string{"changed"}, Kept: []string{"kept"}}, changes)
		require.NoError(t, s.Ready(t.Context(), 0))
		after := s.sessions(t)
		require.Equal(t, before["kept"], after["kept"], "the same client and the same session")
		require.NotEqual(t, before["changed"], after["changed"])
		require.Len(t, after, 3)
		require.NotContains(t, after, "gone")
		require.Equal(t, "other", s.servers[1].Sessions()[0].User())
		require.Empty(t, s.servers[2].Sessions())
		_, err = s.Send(t.Context(), action.Ping{}, ami.To("new"))
		require.NoError(t, err)

		same := s.parse(t, `
defaults: {username: admin, secret: secret}
nodes: [{key: new, addr: "%[4]s"}, {key: kept, addr: "%[1]s"}, {key: changed, addr: "%[2]s", username: other}] # %[3]s
`)
		changes, err = s.reloader.Apply(t.Context(), same)
		require.NoError(t, err)
		require.Equal(t, Changes{Kept: []string{"new", "kept", "changed"}}, changes)
		require.Equal(t, after, s.sessions(t))
	})
}

// TestReloadOfEachField: a change of any of them replaces the node, and that of
// the weight wants a restart.
func TestReloadOfEachField(t *testing.T) { // H1
	for field, change := range map[string]func(*node){
		"addr":        func(n *node) { n.addr = "x" },
		"username":    func(n *node) { n.username = "x" },
		"secret":      func(n *node) { n.secret = ami.NewSecret("x") },
		"secret file": func(n *node) { n.secretFile = "x" },
		"auth":        func(n *node) { n.auth = "md5" },
		"events":      func(n *node) { n.events = "off" },
		"tls":         func(n *node) { n.secured = true },
		"ca":          func(n *node) { n.files.CA = "x" },
	} {
		n := node{key: "a", secret: ami.NewSecret("s"), weight: 1}
		o := n
		o.secret = ami.NewSecret("s")
		require.True(t, n.same(o))
		change(&o)
		require.False(t, n.same(o), field)
	}
	for _, tc := range []struct {
		before, after string
		secured, same bool
	}{
		{"pbx1", "pbx1:5038", false, true},
		{"pbx1", "pbx1:5039", true, true},
		{"pbx1", "PBX1:5038", false, true},
		{"2001:db8::1", "[2001:db8::1]:5038", false, true},
		{"[2001:db8::1]", "2001:db8::1", false, true},
		{"pbx1", "pbx1:5039", false, false},
		{"pbx1", "pbx1:5038", true, false},
		{"pbx1", "pbx2", false, false},
	} {
		before, after := node{addr: tc.before, secured: tc.secured}, node{addr: tc.after, secured: tc.secured}
		require.Equal(t, tc.same, before.same(after), "%s and %s", tc.before, tc.after)
		require.Equal(t, tc.same, after.same(before), "%s and %s", tc.after, tc.before)
	}
	a := node{secretEnv: "A", secret: ami.NewSecret("s"), weight: 1}
	require.True(t, a.same(node{secretEnv: "B", secret: ami.NewSecret("s"), weight: 2}), "the secret is the same")
}

// TestReloadOfTheSameAddress: a node whose port is spelled out keeps its session.
func TestReloadOfTheSameAddress(t *testing.T) { // H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, "nodes: [{key: a, addr: 192.0.2.1, username: admin, secret: secret}] # %[1]s\n", "192.0.2.1:5038")
		before := s.sessions(t)
		changes, err := s.reloader.Apply(t.Context(), s.parse(t, "nodes: [{key: a, addr: '192.0.2.1:5038', username: admin, secret: secret}] # %[1]s\n"))
		require.NoError(t, err)
		require.Equal(t, Changes{Kept: []string{"a"}}, changes)
		require.Equal(t, before, s.sessions(t))
	})
}

// TestReloadOfOptions: nodes are brought up to date, and the error names what
// wants a restart, every time.
func TestReloadOfOptions(t *testing.T) { // H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}] # %[2]s\nlimits: {frame: 2MiB}\n")
		const next = `
defaults: {username: admin, secret: secret}
nodes: [{key: a, addr: "%[1]s"}, {key: b, addr: "%[2]s", weight: 2}]
keepalive: {interval: 20s, timeout: 15s}
limits: {frame: 2MiB, line: 256KiB}
redaction: {headers: [Pin]}
default_node: a
`
		for i := range 2 {
			changes, err := s.reloader.Apply(t.Context(), s.parse(t, next))
			e, ok := errors.AsType[*RestartError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, []string{"keepalive.interval", "default_node", "redaction.headers", "nodes[1].weight"}, e.Paths, "and not those that were written out")
			require.ErrorContains(t, err, "keepalive.interval")
			require.Len(t, changes.Added, 1-i)
			require.NoError(t, s.Ready(t.Context(), 2))
		}
	})
}

// TestReloadUnderTheOldOptions: what the options of the start refuse is not added,
// and what it should replace stays; the mask that they forbid is left out.
func TestReloadUnderTheOldOptions(t *testing.T) { // H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: 192.0.2.1}] # %[1]s %[2]s %[3]s\nevents_on_demand: true\nliteral_addresses: true\n", "192.0.2.1:5038", "192.0.2.2:5038", "192.0.2.3:5038")
		before := s.sessions(t)
		for range 2 {
			changes, err := s.reloader.Apply(t.Context(), s.parse(t, "defaults: {username: admin, secret: secret, events: call}\nnodes: [{key: a, addr: pbx.example}, {key: b, addr: 192.0.2.2}, {key: c, addr: pbx.example}] # %[1]s %[2]s %[3]s\n"))
			require.ErrorContains(t, err, "node a: ")
			require.ErrorContains(t, err, "node c: ")
			require.ErrorContains(t, err, "LiteralAddresses")
			require.NotContains(t, err.Error(), "node b")
			e, ok := errors.AsType[*RestartError](err)
			require.True(t, ok)
			require.Equal(t, []string{"events_on_demand", "literal_addresses"}, e.Paths)
			require.Equal(t, []string{"a"}, changes.Replaced)
			require.NoError(t, s.Ready(t.Context(), 2))
			require.Equal(t, before["a"], s.sessions(t)["a"])
			_, there := s.Node("c")
			require.False(t, there)
		}
	})
}

// TestReloadOfEventsOnDemand: whether subscriptions make the mask is settled at the
// start. A reload that would change it touches no node.
func TestReloadOfEventsOnDemand(t *testing.T) { // H1
	const nodes = "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}]\n"
	with := func(events string) string { return strings.Replace(nodes, "}]", ", events: "+events+"}]", 1) }
	for name, tc := range map[string]struct{ started, next string }{
		"on to off":           {"events_on_demand: true\n" + nodes, nodes},
		"on to off with mask": {"events_on_demand: true\n" + nodes, with("call")},
		"off to on":           {nodes, "events_on_demand: true\n" + nodes},
		"off to on with mask": {with("call"), "events_on_demand: true\n" + nodes},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, 1, tc.started)
				before := s.sessions(t)
				client, _ := s.Node("a")
				mask := client.Node().Events
				for _, file := range []string{tc.next, tc.started, tc.next} {
					changes, err := s.reloader.Apply(t.Context(), s.parse(t, file))
					if file == tc.next {
						e, ok := errors.AsType[*RestartError](err)
						require.True(t, ok, "%v", err)
						require.Equal(t, []string{"events_on_demand"}, e.Paths)
					} else {
						require.NoError(t, err)
					}
					require.Equal(t, Changes{Kept: []string{"a"}}, changes)
					require.Equal(t, before, s.sessions(t))
				}
				// One that does change has the mask of the start.
				_, err := s.reloader.Apply(t.Context(), s.parse(t, tc.next[:len(tc.next)-3]+", auth: md5}]\n"))
				require.Error(t, err)
				client, _ = s.Node("a")
				require.Equal(t, mask, client.Node().Events)
				require.Equal(t, ami.AuthMD5, client.Node().Auth)
			})
		})
	}
}

// TestReloadKeepsTheDefaultNode: actions without an address have no other until the
// restart.
func TestReloadKeepsTheDefaultNode(t *testing.T) { // E4, H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: b, addr: \"%[2]s\"}]\ndefault_node: a\n")
		before := s.sessions(t)
		for range 2 {
			changes, err := s.reloader.Apply(t.Context(), s.parse(t, "defaults: {username: admin, secret: secret}\nnodes: [{key: b, addr: \"%[2]s\"}] # %[1]s\ndefault_node: b\n"))
			e, ok := errors.AsType[*RestartError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, []string{"default_node"}, e.Paths)
			require.Equal(t, Changes{Kept: []string{"b", "a"}}, changes)
			require.Equal(t, before, s.sessions(t))
			r, err := s.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			require.Equal(t, "a", r.Node)
		}
	})
}

// TestReloadWaitsForAnswers: a node that goes finishes its actions, until the
// context ends; then it goes all the same.
func TestReloadWaitsForAnswers(t *testing.T) { // E1, H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: b, addr: \"%[2]s\"}]\n")
		for _, srv := range s.servers {
			srv.Handle("Slow", func(call *amitest.Call) {
				select {
				case <-time.After(10 * time.Second): // fake
					call.Respond()
				case <-call.Context().Done():
				}
			})
		}
		results := make(chan error, 2)
		send := func(key string) {
			go func() {
				_, err := s.Send(t.Context(), action.Custom("Slow"), ami.To(key))
				results <- err
			}()
			synctest.Wait()
		}
		send("a")
		next := s.parse(t, "defaults: {username: other, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: b, addr: \"%[2]s\"}]\n")
		start := time.Now()
		changes, err := s.reloader.Apply(t.Context(), next)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, changes.Replaced)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, <-results)
		require.NoError(t, s.Ready(t.Context(), 0))

		send("b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		next = s.parse(t, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: b, addr: \"%[2]s\"}]\n")
		_, err = s.reloader.Apply(ctx, next)
		e, ok := errors.AsType[*NodeError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "b", e.Node)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Error(t, <-results)
		require.NoError(t, s.Ready(t.Context(), 2), "both are there")
		changes, err = s.reloader.Apply(t.Context(), next)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, changes.Kept)
	})
}

// TestReloadBesideTheProgram: it may take nodes out and bring in its own.
func TestReloadBesideTheProgram(t *testing.T) { // H1
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: b, addr: \"%[2]s\"}] # %[3]s\n")
		own := ami.Node{Key: "own", Addr: s.servers[2].Addr(), Username: "admin", Secret: ami.NewSecret("secret")}
		require.NoError(t, s.Add(own))
		require.NoError(t, s.Remove(t.Context(), "b"))
		only := s.parse(t, "nodes: [{key: a, addr: \"%[1]s\", username: admin, secret: secret}] # %[2]s %[3]s\n")
		changes, err := s.reloader.Apply(t.Context(), only)
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, changes.Removed)
		_, ok := s.Node("own")
		require.True(t, ok)

		clash := s.parse(t, "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: \"%[1]s\"}, {key: own, addr: \"%[2]s\"}] # %[3]s\n")
		for range 2 {
			_, err = s.reloader.Apply(t.Context(), clash)
			var config *ami.ConfigError
			require.ErrorAs(t, err, &config)
			require.ErrorContains(t, err, "node own")
		}
		require.NoError(t, s.Close())
		_, err = s.reloader.Apply(t.Context(), s.parse(t, "nodes: [{key: c, addr: \"%[1]s\", username: admin, secret: secret}] # %[2]s %[3]s\n"))
		require.ErrorIs(t, err, ami.ErrClosed)
	})
}

// TestReloadBringsBack: a node that the program has removed itself comes back
// with the next file that has it.
func TestReloadBringsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := "defaults: {username: admin, secret: secret}\nnodes: [{key: a, addr: '%[1]s'}, {key: b, addr: '%[2]s'}]\n"
		s := newSite(t, 2, file)
		require.NoError(t, s.Remove(t.Context(), "a"))
		changes, err := s.reloader.Apply(t.Context(), s.parse(t, file))
		require.NoError(t, err)
		require.Equal(t, Changes{Added: []string{"a"}, Kept: []string{"b"}}, changes)
		require.NoError(t, s.Ready(t.Context(), 0))
		require.Equal(t, 2, s.Stats().Ready)
	})
}
