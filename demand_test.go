package ami_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/catalog"
)

// noFilters is a user who may not set filters, so that the mask alone counts.
var noFilters = amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Write: amitest.ClassAll &^ amitest.ClassSystem})

// sent returns the values of a header in all actions of that name, in order,
// those of action lanes left out.
func sent(srv *amitest.Server, name, header string) (values []string) {
	for _, e := range srv.Ledger() {
		for _, f := range e.Fields {
			if e.Action == name && f.Key == header && f.Value != "off" {
				values = append(values, f.Value)
			}
		}
	}
	return values
}

// names returns the events that wait in the subscription; gaps are "gap".
func names(t *testing.T, s *ami.Subscription) (got []string) {
	t.Helper()
	synctest.Wait()
	for _, e := range takeAll(t, s) {
		if _, gap := e.Gap(); gap {
			got = append(got, "gap")
		} else {
			got = append(got, e.Name())
		}
	}
	return got
}

func TestMaskAtLogin(t *testing.T) { // D3, E5
	for _, tc := range []struct {
		name string
		subs [][]ami.SubOption
		mask string
	}{
		{"nobody listens", nil, "call,system"},
		{"one event", [][]ami.SubOption{{ami.Named("AgentCalled")}}, "agent,call,system"},
		{"the union", [][]ami.SubOption{{ami.Named("AgentCalled", "varset")}, {ami.Named("DTMFBegin"), ami.Where(func(event.Event) bool { return false })}}, "agent,call,dialplan,dtmf,system"},
		{"two classes", [][]ami.SubOption{{ami.Named("VoicemailPasswordChange")}}, "call,system,user"},
		{"everything", [][]ami.SubOption{{ami.Named("AgentCalled")}, nil}, "on"},
		{"by predicate", [][]ami.SubOption{{ami.Where(func(event.Event) bool { return false })}}, "on"},
		{"of another module", [][]ami.SubOption{{ami.Named("AgentCalled", "MyModuleEvent")}}, "on"},
		{"items of lists", [][]ami.SubOption{{ami.Named("QueueMember")}}, "on"},
		{"another node's", [][]ami.SubOption{{ami.FromNode("pbx2")}, {ami.FromNode("pbx1"), ami.Named("Cdr")}}, "call,cdr,system"},
	} {
		for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
			t.Run(fmt.Sprint(tc.name, auth), func(t *testing.T) {
				bubble(t, func(t *testing.T, srv *amitest.Server) {
					n := node(srv)
					n.Auth = auth
					log := newLogbook()
					c, err := ami.New(n, ami.WithDialer(srv.DialContext), ami.WithEventsOnDemand(), ami.WithLogger(slog.New(log)))
					require.NoError(t, err)
					require.Empty(t, c.Node().Events)
					c.Subscribe(ami.Named("MCID", "RTCPSent")).Close() // does not count
					for _, opts := range tc.subs {
						c.Subscribe(opts...)
					}
					require.Empty(t, c.Stats().EventMask)
					go func() { _ = c.Run(t.Context()) }()
					defer c.Close()
					require.NoError(t, c.Ready(t.Context()))
					synctest.Wait()
					require.Equal(t, []string{tc.mask}, sent(srv, "Login", "Events"))
					require.Empty(t, sent(srv, "Events", "EventMask"))
					require.Equal(t, tc.mask, c.Stats().EventMask)
					require.Equal(t, tc.mask, log.find("connected")[0]["event_mask"])
					require.True(t, c.Stats().Booted)
				}, noFilters)
			})
		}
	}
}

// TestEveryEventComes: a subscription to any one event of the catalogue gets it,
// made before the login and after it, by the mask and by the filter, and whoever
// filters gets nothing else (E5).
func TestEveryEventComes(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	classes := map[string]amitest.Class{}
	for bit := range 31 {
		class := amitest.Class(1) << bit
		name, _, _ := strings.Cut(class.String(), ",")
		classes[name] = class
	}
	bubbles := map[string]amitest.Option{"mask": noFilters, "filter": amitest.WithBanner("Asterisk Call Manager/11.0.0")}
	for kind, opt := range bubbles {
		for _, late := range []bool{false, true} {
			for _, e := range c.Events {
				var class amitest.Class
				for _, name := range e.Class {
					class |= classes[name]
					require.NotZero(t, classes[name], name)
				}
				if class == 0 {
					class = amitest.ClassTest // should any server ever send it
				}
				bubble(t, func(t *testing.T, srv *amitest.Server) {
					c := run(t, srv, ami.WithEventsOnDemand())
					var s *ami.Subscription
					if !late {
						s = c.Subscribe(ami.Named(e.Name))
					}
					require.NoError(t, c.Ready(t.Context()))
					synctest.Wait()
					if late {
						s = c.Subscribe(ami.Named(e.Name))
						synctest.Wait()
					}
					before := c.Stats().Events
					srv.Broadcast("Noise", amitest.ClassReporting|amitest.ClassAOC)
					srv.Broadcast(e.Name, class)
					got := names(t, s)
					require.NotEmpty(t, got, "%s by %s, late %v", e.Name, kind, late)
					require.Equal(t, e.Name, got[len(got)-1])
					wide := uint64(0)
					if c.Stats().EventMask == "on" {
						wide = 1
					}
					require.Equal(t, 1+wide, c.Stats().Events-before, "%s by %s", e.Name, kind)
				}, opt)
			}
		}
	}
}

func TestMaskWidens(t *testing.T) { // E5
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithLogger(slog.New(log)))
		synctest.Wait()
		srv.Broadcast("AgentCalled", amitest.ClassAgent)
		synctest.Wait()
		require.EqualValues(t, 1, c.Stats().Events, "FullyBooted alone")

		agents := c.Subscribe(ami.Named("AgentCalled"))
		synctest.Wait()
		keys := c.Subscribe(ami.Named("DTMFBegin"))
		synctest.Wait()
		c.Subscribe(ami.Named("Hangup", "Shutdown")) // come all along
		synctest.Wait()
		require.Equal(t, []string{"agent,call,system", "agent,call,dtmf,system"}, sent(srv, "Events", "EventMask"))
		require.Equal(t, "agent,call,dtmf,system", c.Stats().EventMask)
		srv.Broadcast("AgentCalled", amitest.ClassAgent)
		srv.Broadcast("DTMFBegin", amitest.ClassDTMF)
		srv.Broadcast("VarSet", amitest.ClassDialplan)
		require.Equal(t, []string{"AgentCalled"}, names(t, agents))
		require.Equal(t, []string{"DTMFBegin"}, names(t, keys))
		require.EqualValues(t, 3, c.Stats().Events)

		agents.Close() // narrows nothing now
		all := c.Subscribe()
		require.Empty(t, names(t, all))
		require.Equal(t, []string{"on"}, sent(srv, "Events", "EventMask")[2:])
		srv.Broadcast("MyModuleEvent", amitest.ClassTest|amitest.ClassAOC)
		require.Equal(t, []string{"MyModuleEvent"}, names(t, all))
		require.Len(t, log.find("event mask widened"), 3)
		require.Equal(t, "on", log.find("event mask widened")[2]["event_mask"])

		all.Close()
		keys.Close()
		srv.Session(eventSession).Kick()
		require.NoError(t, waitFor(t, c, ami.Disconnected))
		require.NoError(t, c.Ready(t.Context()))
		require.Equal(t, []string{"call,system", "call,system"}, sent(srv, "Login", "Events"), "those who are left")
		require.Equal(t, "call,system", c.Stats().EventMask)
	}, noFilters)
}

// TestWideningsAreJoined: what is wanted while an action is under way goes into
// the next one.
func TestWideningsAreJoined(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventsOnDemand())
		synctest.Wait()
		srv.Session(eventSession).SetFaults(amitest.Faults{AnswerDelay: time.Second})
		for _, name := range []string{"AgentCalled", "DTMFBegin", "VarSet", "DTMFEnd", "Cdr"} {
			c.Subscribe(ami.Named(name))
			synctest.Wait()
		}
		require.Equal(t, "call,system", c.Stats().EventMask, "nothing is confirmed yet")
		time.Sleep(time.Minute) // fake
		require.Equal(t, []string{"agent,call,system", "agent,call,cdr,dialplan,dtmf,system"}, sent(srv, "Events", "EventMask"))
		require.Equal(t, "agent,call,cdr,dialplan,dtmf,system", c.Stats().EventMask)
	}, noFilters)
}

// waitFor waits until the client is in that state.
func waitFor(t *testing.T, c *ami.Client, s ami.State) error {
	t.Helper()
	if c.State() == s {
		return nil
	}
	for change := range c.StateChanges(t.Context()) {
		if change.To == s {
			return nil
		}
	}
	return errors.New("the client has ended")
}

// TestSubscribeAtAnyTime: whatever the client does when a subscription is made, it
// gets its events, from the login on if that was not sent yet (E5).
func TestSubscribeAtAnyTime(t *testing.T) {
	for _, tc := range []struct {
		state  ami.State
		logins []string
		events []string
	}{
		{ami.Disconnected, []string{"agent,call,system"}, nil},
		{ami.Connecting, []string{"agent,call,system"}, nil},
		{ami.Connected, []string{"agent,call,system"}, nil},
		{ami.Authenticating, []string{"call,system"}, []string{"agent,call,system"}},
		{ami.Ready, []string{"call,system"}, []string{"agent,call,system"}},
	} {
		t.Run(tc.state.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(amitest.Faults{BannerDelay: time.Second, LoginDelay: time.Second})
				c, err := ami.New(node(srv), ami.WithEventsOnDemand(), ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
					time.Sleep(time.Second) // fake
					return srv.DialContext(ctx, network, addr)
				}))
				require.NoError(t, err)
				var s *ami.Subscription
				if tc.state == ami.Disconnected {
					s = c.Subscribe(ami.Named("AgentCalled"))
				}
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				defer func() {
					require.NoError(t, c.Close())
					require.NoError(t, <-done)
				}()
				for s == nil {
					synctest.Wait()
					if c.State() == tc.state {
						s = c.Subscribe(ami.Named("AgentCalled"))
					} else {
						time.Sleep(time.Second / 2) // fake
					}
				}
				require.NoError(t, c.Ready(t.Context()))
				synctest.Wait()
				require.Equal(t, tc.logins, sent(srv, "Login", "Events"))
				require.Equal(t, tc.events, sent(srv, "Events", "EventMask"))
				srv.Broadcast("AgentCalled", amitest.ClassAgent)
				require.Equal(t, []string{"AgentCalled"}, names(t, s))
			}, noFilters)
		})
	}
}

func TestSubscribeWhileDown(t *testing.T) { // E5, E7
	for kind, user := range map[string]amitest.User{"mask": {Write: amitest.ClassCall}, "filter": {}} {
		t.Run(kind, func(t *testing.T) {
			user.Name, user.Secret = "admin", "secret"
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv, ami.WithEventsOnDemand())
				before := c.Subscribe(ami.Named("Cdr"))
				synctest.Wait()
				srv.Shutdown(true)
				synctest.Wait()
				require.NotEqual(t, ami.Ready, c.State())
				s := c.Subscribe(ami.Named("AgentCalled"))
				require.NoError(t, srv.Start(0))
				require.NoError(t, c.Ready(t.Context()))
				srv.Broadcast("AgentCalled", amitest.ClassAgent)
				srv.Broadcast("Cdr", amitest.ClassCDR)
				require.Equal(t, []string{"gap", "AgentCalled"}, names(t, s))
				require.Equal(t, []string{"gap", "Cdr"}, names(t, before))
				require.Equal(t, []string{"call,system", "agent,call,cdr,system"}, sent(srv, "Login", "Events"))
				require.Len(t, sent(srv, "Events", "EventMask"), 1, "for Cdr")
			}, amitest.WithUser(user))
		})
	}
}

// TestManySubscribeAtOnce: goroutines subscribe and close while sessions come and
// go. Whenever it is quiet, each subscription gets what it is named for (E5).
func TestManySubscribeAtOnce(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	class := map[string]amitest.Class{"agent": amitest.ClassAgent, "call": amitest.ClassCall, "dialplan": amitest.ClassDialplan, "security": amitest.ClassSecurity, "cc": amitest.ClassCC}
	events := slices.DeleteFunc(c.Events, func(e catalog.Event) bool { return len(e.Class) != 1 || class[e.Class[0]] == 0 })
	require.Greater(t, len(events), 80)
	for seed := range uint64(12) {
		user := amitest.User{Name: "admin", Secret: "secret"}
		if seed%2 == 0 {
			user.Write = amitest.ClassCall
		}
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			c := run(t, srv, ami.WithEventsOnDemand(), ami.WithBackoff(time.Millisecond, time.Millisecond, time.Millisecond), ami.WithBreaker(1000, time.Second, 1))
			random := rand.New(rand.NewPCG(seed, seed))
			open := map[*ami.Subscription]catalog.Event{}
			for range 8 {
				var made [6]*ami.Subscription
				var named [6]catalog.Event
				var g sync.WaitGroup
				for i := range made {
					e, wait := events[random.IntN(len(events))], time.Duration(random.IntN(3))*time.Millisecond
					g.Go(func() {
						time.Sleep(wait) // fake
						made[i], named[i] = c.Subscribe(ami.Named(e.Name)), e
					})
				}
				for s := range open {
					if random.IntN(4) == 0 {
						delete(open, s)
						g.Go(s.Close)
					}
				}
				if sessions := srv.Sessions(); random.IntN(3) == 0 && len(sessions) > 0 {
					g.Go(sessions[0].Kick)
				}
				g.Wait()
				for i, s := range made {
					open[s] = named[i]
				}
				time.Sleep(10 * time.Millisecond) // fake
				synctest.Wait()
				require.Equal(t, ami.Ready, c.State())
				for s := range open {
					_ = takeAll(t, s) // gaps, and what another one wanted before
				}
				for _, e := range events {
					srv.Broadcast(e.Name, class[e.Class[0]])
				}
				for s, e := range open {
					require.Equal(t, []string{e.Name}, names(t, s), "seed %d", seed)
				}
			}
		}, amitest.WithUser(user))
	}
}

// TestDemandWithLanes: masks and filters are of the session of the events, and a
// lane goes on without any (E5).
func TestDemandWithLanes(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithActionLanes(2))
		synctest.Wait()
		s := c.Subscribe(ami.Named("VarSet"))
		synctest.Wait()
		require.Equal(t, []int{eventSession}, sessionsOf(srv, "Events"))
		require.Equal(t, []int{eventSession, eventSession}, sessionsOf(srv, "Filter"))
		masks := map[string]int{}
		for _, e := range srv.Ledger() {
			for _, f := range e.Fields {
				if f.Key == "Events" {
					masks[f.Value]++
				}
			}
		}
		require.Equal(t, map[string]int{"call,system": 1, "off": 2}, masks)
		srv.Broadcast("VarSet", amitest.ClassDialplan)
		require.Equal(t, []string{"VarSet"}, names(t, s))

		r, err := ami.Call(t.Context(), c, action.Originate{Channel: "PJSIP/2001", Application: "Wait", Async: true})
		require.NoError(t, err)
		require.True(t, r.Answered(), "by an event that nobody subscribes to")
		require.NotEqual(t, []int{eventSession}, sessionsOf(srv, "Originate"))
	})
}

func TestDemandInCluster(t *testing.T) { // E1, E5
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, ami.WithEventsOnDemand())
		all := f.Subscribe(ami.Named("AgentCalled"))
		second := f.Subscribe(ami.FromNode("pbx2"), ami.Named("VarSet"))
		f.run(t)
		first, _ := f.Node("pbx1")
		own := first.Subscribe(ami.Named("DTMFBegin"))
		synctest.Wait()
		mask := func(key string) string {
			c, ok := f.Node(key)
			require.True(t, ok)
			return c.Stats().EventMask
		}
		require.Equal(t, []string{"agent,call,system"}, sent(f.list[0], "Login", "Events"))
		require.Equal(t, "agent,call,dtmf,system", mask("pbx1"))
		require.Equal(t, "agent,call,dialplan,system", mask("pbx2"))

		third := f.Subscribe(ami.FromNode("pbx2", "pbx3"), ami.Named("Cdr"))
		require.NoError(t, f.Add(f.serve(t, "pbx3")))
		require.NoError(t, f.Ready(t.Context(), 0))
		synctest.Wait()
		require.Equal(t, "agent,call,dtmf,system", mask("pbx1"), "not concerned")
		require.Equal(t, "agent,call,cdr,dialplan,system", mask("pbx2"))
		require.Equal(t, "agent,call,cdr,system", mask("pbx3"))
		require.Equal(t, []string{"agent,call,cdr,system"}, sent(f.list[2], "Login", "Events"))

		for _, srv := range f.list {
			srv.Broadcast("AgentCalled", amitest.ClassAgent)
			srv.Broadcast("VarSet", amitest.ClassDialplan)
			srv.Broadcast("DTMFBegin", amitest.ClassDTMF)
			srv.Broadcast("Cdr", amitest.ClassCDR)
			time.Sleep(apart) // fake
		}
		require.Len(t, names(t, all), 3)
		require.Len(t, names(t, second), 1)
		require.Len(t, names(t, own), 1)
		require.Len(t, names(t, third), 2)
		received := func(key string) uint64 { c, _ := f.Node(key); return c.Stats().Events }
		require.Equal(t, []uint64{3, 4, 3}, []uint64{received("pbx1"), received("pbx2"), received("pbx3")}, "FullyBooted, and what is wanted")
	})
}
