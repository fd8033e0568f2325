package ami_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/internal/catalog"
	"github.com/apn/ami/strategy"
)

func TestFilterOnDemand(t *testing.T) { // E5
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithLogger(slog.New(log)))
		synctest.Wait()
		require.Equal(t, []string{"^Event: (FullyBooted|OriginateResponse|Shutdown)[[:cntrl:]]"}, sent(srv, "Filter", "Filter"))
		require.True(t, c.Stats().EventsFiltered)
		require.Len(t, log.find("event filter added"), 1)

		hangups := c.Subscribe(ami.Named("hangup"))
		c.Subscribe(ami.Named("Shutdown", "Hangup"))
		synctest.Wait()
		require.Equal(t, []string{"^Event: (Hangup)[[:cntrl:]]"}, sent(srv, "Filter", "Filter")[1:], "what is missing")
		srv.Broadcast("HangupRequest", amitest.ClassCall)
		srv.Broadcast("Hangup", amitest.ClassCall, amitest.F("N", "1"))
		srv.Broadcast("Newchannel", amitest.ClassCall, amitest.F("N", "Event: Hangup"))
		require.Equal(t, []string{"Hangup"}, names(t, hangups))
		require.EqualValues(t, 2, c.Stats().Events, "FullyBooted, Hangup")

		both := c.Subscribe(ami.Named("VarSet", "Newchannel"))
		synctest.Wait()
		require.Equal(t, []string{"call,dialplan,system"}, sent(srv, "Events", "EventMask"))
		require.Equal(t, []string{"^Event: (Newchannel|VarSet)[[:cntrl:]]"}, sent(srv, "Filter", "Filter")[2:])
		srv.Broadcast("VarSet", amitest.ClassDialplan)
		srv.Broadcast("Newchannel", amitest.ClassCall)
		srv.Broadcast("Newexten", amitest.ClassDialplan)
		require.Equal(t, []string{"VarSet", "Newchannel"}, names(t, both))
		require.EqualValues(t, 4, c.Stats().Events)

		all := c.Subscribe()
		synctest.Wait()
		require.Equal(t, "on", c.Stats().EventMask)
		require.False(t, c.Stats().EventsFiltered)
		require.Equal(t, []string{"^Event: "}, sent(srv, "Filter", "Filter")[3:])
		srv.Broadcast("MyModuleEvent", amitest.ClassAOC)
		require.Equal(t, []string{"MyModuleEvent"}, names(t, all))

		c.Subscribe(ami.Named("Cdr"), ami.FromNode("pbx1"))
		synctest.Wait()
		require.Len(t, sent(srv, "Filter", "Filter"), 4, "there is no more")
	})
}

// TestFirstFilterHasEverything: a first filter shuts out what is not in it, so
// that there is one with all names or none (E5).
func TestFirstFilterHasEverything(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	var every []string
	for _, e := range c.Events {
		if len(e.Class) > 0 {
			every = append(every, e.Name)
		}
	}
	for _, tc := range []struct {
		name    string
		subs    [][]ami.SubOption
		filters []string
	}{
		{"names of two", [][]ami.SubOption{{ami.Named("Hangup")}, {ami.Named("VarSet")}}, []string{"^Event: (FullyBooted|Hangup|OriginateResponse|Shutdown|VarSet)[[:cntrl:]]"}},
		{"everything", [][]ami.SubOption{{ami.Named("Hangup")}, nil}, nil},
		{"too many for one line", [][]ami.SubOption{{ami.Named(every...)}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext), ami.WithEventsOnDemand())
				require.NoError(t, err)
				var subs []*ami.Subscription
				for _, opts := range tc.subs { // all before the login
					subs = append(subs, c.Subscribe(opts...))
				}
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				defer func() {
					require.NoError(t, c.Close())
					require.NoError(t, <-done)
				}()
				require.NoError(t, c.Ready(t.Context()))
				synctest.Wait()
				require.Equal(t, tc.filters, sent(srv, "Filter", "Filter"))
				require.Equal(t, tc.filters != nil, c.Stats().EventsFiltered)
				srv.Broadcast("Hangup", amitest.ClassCall)
				require.Contains(t, names(t, subs[0]), "Hangup")
			})
		})
	}
}

// TestLaterFilterThatIsTooLong: then everything comes that the mask lets through.
func TestLaterFilterThatIsTooLong(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	var every []string
	for _, e := range c.Events {
		if len(e.Class) > 0 && e.Class[0] == "call" {
			every = append(every, e.Name)
		}
	}
	require.Greater(t, len(strings.Join(every, "|")), 900)
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventsOnDemand())
		synctest.Wait()
		s := c.Subscribe(ami.Named(every...))
		synctest.Wait()
		require.Equal(t, []string{"^Event: "}, sent(srv, "Filter", "Filter")[1:])
		require.Equal(t, "call,system", c.Stats().EventMask)
		srv.Broadcast("Hangup", amitest.ClassCall)
		require.Equal(t, []string{"Hangup"}, names(t, s))
	})
}

func TestFilterRefused(t *testing.T) { // E5
	for name, message := range map[string]string{"no privilege": "Permission denied", "unknown": "Invalid/unknown command: Filter. Use Action: ListCommands to show available commands."} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.Handle("Filter", func(c *amitest.Call) { c.Error(message) })
				log := newLogbook()
				c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithLogger(slog.New(log)))
				s := c.Subscribe(ami.Named("Hangup"))
				synctest.Wait()
				c.Subscribe(ami.Named("VarSet"))
				synctest.Wait()
				require.Len(t, sent(srv, "Filter", "Filter"), 1, "once in a session")
				require.False(t, c.Stats().EventsFiltered)
				records := log.find("events are not filtered by name")
				require.Len(t, records, 1)
				require.Contains(t, records[0]["reason"], strings.Fields(message)[0])
				srv.Broadcast("Hangup", amitest.ClassCall)
				require.Equal(t, []string{"Hangup"}, names(t, s))
				require.EqualValues(t, 1, c.Stats().Connects)
			})
		})
	}
}

// TestNotGranted: if Asterisk does not do what is asked, the session ends, and the
// next one asks for it at its login (E5, E7).
func TestNotGranted(t *testing.T) {
	for _, tc := range []struct {
		name, action string
		handle       amitest.HandlerFunc
	}{
		{"mask refused", "Events", func(c *amitest.Call) { c.Error("Invalid event mask") }},
		{"filter refused", "Filter", func(c *amitest.Call) { c.Error("Filter did not compile.  Check the syntax of the filter given.") }},
		{"filter not answered", "Filter", func(*amitest.Call) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv, ami.WithEventsOnDemand())
				synctest.Wait()
				srv.Handle(tc.action, tc.handle)
				s := c.Subscribe(ami.Named("VarSet"))
				synctest.Wait()
				require.EqualValues(t, 1, c.Stats().Losses)
				require.ErrorIs(t, c.Stats().Reason, ami.ErrEventMask)
				require.ErrorContains(t, c.Stats().Reason, tc.action)

				srv.Handle(tc.action, func(c *amitest.Call) { c.Error("Permission denied") })
				require.NoError(t, c.Ready(t.Context()))
				srv.Broadcast("VarSet", amitest.ClassDialplan)
				require.Equal(t, []string{"gap", "VarSet"}, names(t, s))
				require.Equal(t, []string{"call,system", "call,dialplan,system"}, sent(srv, "Login", "Events"))
				require.EqualValues(t, 2, c.Stats().Connects)
			})
		})
	}
}

// TestBrokenEventsAction: the Ping behind the action proves that the mask is set
// where Asterisk does not answer.
func TestBrokenEventsAction(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventsOnDemand())
		synctest.Wait()
		s := c.Subscribe()
		synctest.Wait()
		require.Equal(t, "on", c.Stats().EventMask)
		require.False(t, c.Stats().EventsFiltered)
		require.Zero(t, c.Stats().Pending)
		srv.Broadcast("MyModuleEvent", amitest.ClassAOC)
		require.Equal(t, []string{"MyModuleEvent"}, names(t, s))
		time.Sleep(time.Hour) // fake
		require.Zero(t, c.Stats().Losses)
	}, amitest.WithBrokenEventsAction())
}

// TestWidensBehindBlockingAction: a session that an action holds is no dead one,
// and hears of the mask when it is free (D2).
func TestWidensBehindBlockingAction(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventsOnDemand())
		synctest.Wait()
		srv.Handle("Hold", func(c *amitest.Call) {
			c.Wait(5 * time.Minute)
			c.Success("")
		})
		held := c.Start(t.Context(), action.Custom("Hold"), ami.AnsweredAs(strategy.Strategy{Blocking: true, Timeout: 10 * time.Minute}))
		synctest.Wait()
		s := c.Subscribe(ami.Named("VarSet"))
		time.Sleep(4 * time.Minute) // fake
		require.Empty(t, sent(srv, "Events", "EventMask"))
		require.Equal(t, "call,system", c.Stats().EventMask)
		_, err := held.Result()
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, "call,dialplan,system", c.Stats().EventMask)
		srv.Broadcast("VarSet", amitest.ClassDialplan)
		require.Equal(t, []string{"VarSet"}, names(t, s))
		require.Zero(t, c.Stats().Losses)
	})
}

// TestNoRoomForTheMask: what finds no room is tried again.
func TestNoRoomForTheMask(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(*amitest.Call) {})
		c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithPendingLimit(1))
		synctest.Wait()
		slow := c.Start(t.Context(), action.Custom("Slow"), ami.Timeout(10*time.Second))
		c.Subscribe(ami.Named("VarSet"))
		synctest.Wait()
		require.Empty(t, sent(srv, "Events", "EventMask"))
		_, err := slow.Result()
		require.Error(t, err)
		time.Sleep(100 * time.Millisecond) // fake
		synctest.Wait()
		require.Equal(t, []string{"call,dialplan,system"}, sent(srv, "Events", "EventMask"))
		time.Sleep(100 * time.Millisecond) // fake
		synctest.Wait()
		require.Len(t, sent(srv, "Filter", "Filter"), 2)
	})
}

// TestActionsThatNeedEvents: who would change the mask is refused, and so is what
// could never complete.
func TestActionsThatNeedEvents(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Fetch", func(c *amitest.Call) {
			c.Success("Queued")
			c.Broadcast("Fetched", amitest.ClassUser, amitest.F("ActionID", c.ActionID()))
		})
		c := dial(t, srv, ami.WithEventsOnDemand(), ami.WithActionLanes(1))
		synctest.Wait()
		for _, a := range []action.Action{action.Events{EventMask: "off"}, action.New("eVENTS", "EventMask", "on")} {
			_, err := c.Send(t.Context(), a)
			var e *ami.ConfigError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "EventsOnDemand", e.Key)
			require.True(t, ami.SafeToRetry(err))
		}
		fetch := action.Custom("Fetch")
		_, err := c.Send(t.Context(), fetch, ami.AnsweredAs(strategy.AsyncBy("Fetched")))
		require.ErrorContains(t, err, "subscribe to it first")
		require.Empty(t, sessionsOf(srv, "Fetch"))
		c.Subscribe(ami.Named("Fetched"))
		synctest.Wait()
		_, err = c.Send(t.Context(), fetch, ami.AnsweredAs(strategy.AsyncBy("Fetched")))
		require.NoError(t, err)
	})
}
