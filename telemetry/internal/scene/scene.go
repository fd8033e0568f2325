// Package scene has three fake Asterisk servers on which everything goes wrong
// once, for the tests of the adapters. It runs in a bubble of testing/synctest.
package scene

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// Canary is the secret of the scene: of the login, of headers and of what Asterisk
// says. It must come out nowhere.
const Canary = "Canary-7f3a"

// A Scene is a running cluster of pbx1 and pbx2, which has an action lane each,
// and pbx3, whose login is refused.
type Scene struct {
	Cluster *ami.Cluster
	Servers map[string]*amitest.Server
	Events  *ami.Subscription // to events called Test; holds 4

	stopped chan error
}

// Begin starts a cluster that is watched by an observer and ends with the test.
func Begin(t *testing.T, o ami.Observer, opts ...ami.Option) *Scene {
	t.Helper()
	s := &Scene{Servers: map[string]*amitest.Server{}, stopped: make(chan error, 1)}
	var nodes []ami.Node
	var all []*amitest.Server
	for i := range 3 {
		srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "app", Secret: Canary}))
		t.Cleanup(srv.Close)
		n := ami.Node{Key: fmt.Sprint("pbx", i+1), Addr: srv.Addr(), Username: "app", Secret: ami.NewSecret(Canary)}
		if i == 2 {
			n.Secret = ami.NewSecret("wrong" + Canary)
		}
		srv.Handle("Leak", func(c *amitest.Call) { c.Error("No such thing: " + c.Get("Thing")) })
		srv.Handle("Never", func(*amitest.Call) {})
		nodes, all = append(nodes, n), append(all, srv)
		s.Servers[n.Key] = srv
	}
	var err error
	s.Cluster, err = ami.NewCluster(nodes, append([]ami.Option{
		ami.WithDialer(amitest.Dialer(all...)), ami.WithObserver(o), ami.WithActionLanes(1),
		ami.WithBackoff(time.Second, time.Second, time.Second),
	}, opts...)...)
	require.NoError(t, err)
	s.Events = s.Cluster.Subscribe(ami.Named("Test"), ami.Buffer(4))
	go func() { s.stopped <- s.Cluster.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		require.NoError(t, s.Cluster.Close())
		require.NoError(t, <-s.stopped)
	})
	<-time.After(3 * time.Second) // a refusal takes one
	require.NoError(t, s.Cluster.Ready(t.Context(), 2))
	return s
}

// Play lets it all happen. All of it is on pbx1, but for an action to pbx3, which
// takes none, and one to pbx4, which is not there.
func (s *Scene) Play(t *testing.T) {
	t.Helper()
	ctx, srv, to := t.Context(), s.Servers["pbx1"], ami.To("pbx1")
	pbx1, ok := s.Cluster.Node("pbx1")
	require.True(t, ok)
	send := func(a action.Action, opts ...ami.SendOption) error {
		_, err := s.Cluster.Send(ctx, a, append([]ami.SendOption{to}, opts...)...)
		return err
	}

	// Actions that end well, the last 20 ms after it was accepted.
	for range 3 {
		require.NoError(t, send(action.Ping{}))
	}
	require.NoError(t, send(action.Originate{Channel: "Local/1@x", Application: "Wait", Async: true}))

	// And badly: refused, unknown, not to be encoded, not in time, given up, on
	// a node that is down, on none.
	require.Error(t, send(action.Custom("Leak", "Thing", Canary)))
	require.Error(t, send(action.Custom("Frobnicate"+Canary)))
	require.Error(t, send(action.Command{Command: "a\n" + Canary}))
	require.Error(t, send(action.Custom("Never"), ami.Timeout(time.Second)))
	gone, cancel := context.WithCancel(ctx)
	p := pbx1.Start(gone, action.Custom("Never"))
	cancel()
	_, err := p.Result()
	require.Error(t, err)
	require.Error(t, send(action.Originate{Channel: "nowhere", Application: "Wait", Async: true}))
	require.Error(t, send(action.Ping{}, ami.To("pbx3")))
	require.Error(t, send(action.Ping{}, ami.To("pbx4")))

	// Messages that nobody waits for, and one that is none.
	session := srv.Session(1)
	require.NoError(t, session.Send([]byte("Response: Success\r\nActionID: nobody's\r\n\r\n")))
	require.NoError(t, session.Send([]byte("Event: Test\r\n"+string(make([]byte, 300<<10))+"\r\n\r\n")))

	// Ten events for a subscription that holds four, of which two are taken, and
	// a predicate that panics at one of them.
	panicking := s.Cluster.Subscribe(ami.Named("Test"), ami.Where(func(e event.Event) bool {
		if e.Get("N") == "1" {
			panic(Canary)
		}
		return false
	}))
	for i := range 10 {
		srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", fmt.Sprint(i+1)), amitest.F("Secret", Canary))
	}
	synctest.Wait()
	panicking.Close()
	for e, err := range s.Events.All(ctx) {
		require.NoError(t, err)
		if e.Get("N") == "8" {
			break
		}
	}

	// A session dies under a call that rings and under an action, and comes back.
	ringing := pbx1.Start(ctx, action.Originate{Channel: "PJSIP/noanswer", Application: "Wait", Async: true})
	p = pbx1.Start(ctx, action.Custom("Never"))
	synctest.Wait()
	for _, session := range srv.Sessions() {
		session.Kick()
	}
	_, err = p.Result()
	require.Error(t, err)
	_, err = ringing.Result()
	require.Error(t, err)
	<-time.After(5 * time.Second)
	require.NoError(t, s.Cluster.Ready(ctx, 2))
	synctest.Wait()
}
