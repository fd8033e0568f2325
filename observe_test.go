package ami_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// ends collects what an Observer is told.
type ends struct {
	mu   sync.Mutex
	list []ami.ActionEnd
	ctxs []context.Context
}

func (o *ends) ActionEnded(ctx context.Context, e ami.ActionEnd) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list, o.ctxs = append(o.list, e), append(o.ctxs, ctx)
}

// last returns the only new end since the call before.
func (o *ends) last(t *testing.T) ami.ActionEnd {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Len(t, o.list, 1, "each action is told once")
	e := o.list[0]
	o.list = nil
	require.Equal(t, "pbx1", e.Node)
	require.False(t, e.Ended.Before(e.Started))
	return e
}

func (o *ends) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

// starts is one that puts something into the context.
type starts struct{ ends }

type startKey struct{}

func (o *starts) ActionStarted(ctx context.Context, node, action string) context.Context {
	return context.WithValue(ctx, startKey{}, node+" "+action)
}

func TestObserver(t *testing.T) { // G4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		o := new(starts)
		c := dial(t, srv, ami.WithObserver(o))
		ctx := t.Context()

		_, err := c.Send(ctx, action.Ping{})
		require.NoError(t, err)
		e := o.last(t)
		require.Equal(t, "Ping", e.Action)
		require.NotEmpty(t, e.ActionID)
		require.True(t, e.Sent)
		require.NoError(t, e.Err)
		require.Zero(t, e.Accepted)
		require.Equal(t, "pbx1 Ping", o.ctxs[0].Value(startKey{}))

		_, err = c.Send(ctx, action.Custom("Frobnicate"))
		require.Equal(t, err, o.last(t).Err, "what Send has returned")

		_, err = c.Send(ctx, action.Command{Command: "a\nb"})
		require.Error(t, err)
		e = o.last(t)
		require.Equal(t, err, e.Err)
		require.False(t, e.Sent)
		require.Empty(t, e.ActionID)

		p := c.Start(ctx, action.WaitEvent{Timeout: 5 * time.Second}, ami.Timeout(time.Second))
		synctest.Wait()
		require.Zero(t, o.count(), "nothing has ended")
		_, err = p.Result()
		require.Error(t, err)
		e = o.last(t)
		require.Equal(t, err, e.Err)
		require.Equal(t, time.Second, e.Ended.Sub(e.Started))
		require.Equal(t, p.ActionID(), e.ActionID)

		time.Sleep(10 * time.Second)
		for _, err := range c.List(ctx, action.IAXpeers{}) {
			require.NoError(t, err)
			break
		}
		o.last(t) // also if the loop is left early
		for _, err := range c.List(ctx, action.IAXpeers{}) {
			require.NoError(t, err)
		}
		require.NoError(t, o.last(t).Err)

		_, err = c.Send(ctx, action.Originate{Channel: "Local/1@x", Application: "Wait", Async: true})
		require.NoError(t, err)
		e = o.last(t)
		require.False(t, e.Accepted.IsZero(), "an Async action is accepted before it completes")
		require.False(t, e.Accepted.After(e.Ended))

		_, err = c.Send(ctx, action.Originate{Channel: "nowhere", Application: "Wait", Async: true})
		require.Error(t, err)
		require.Zero(t, o.last(t).Accepted, "it was refused")

		p = c.Start(ctx, action.WaitEvent{})
		require.NoError(t, c.Close())
		e = o.last(t)
		_, err = p.Result()
		require.Equal(t, err, e.Err, "Close waits for it")
		_, err = c.Send(ctx, action.Ping{})
		require.ErrorIs(t, err, ami.ErrClosed)
		require.ErrorIs(t, o.last(t).Err, ami.ErrClosed)
		c.Start(ctx, action.Ping{})
		require.ErrorIs(t, o.last(t).Err, ami.ErrClosed)
	})
}

// bad panics at everything.
type bad struct{}

func (bad) ActionStarted(context.Context, string, string) context.Context {
	panic("password=" + canary)
}
func (bad) ActionEnded(context.Context, ami.ActionEnd) { panic(errors.New("at the end")) }

// badEnd panics at the end alone.
type badEnd struct{}

func (badEnd) ActionEnded(context.Context, ami.ActionEnd) { panic("at the end") }

// panicky is a log handler that panics in turn.
type panicky struct{ slog.Handler }

func (panicky) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		panic("the reporter as well")
	}
	return nil
}
func (panicky) Enabled(context.Context, slog.Level) bool { return true }
func (h panicky) WithAttrs([]slog.Attr) slog.Handler     { return h }

// TestPanickingObserver: the action and the node go on, the first panic is logged
// with its stack, and one of the log handler in turn goes no further (C8).
func TestPanickingObserver(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log, good := newLogbook(), new(ends)
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithObserver(bad{}), ami.WithObserver(good))
		for range 3 {
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
		}
		_, err := c.Start(t.Context(), action.Ping{}).Result()
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 4, good.count(), "the other observer is told")
		require.EqualValues(t, 8, c.Stats().ObserverPanics)
		found := log.find("an observer panicked")
		require.Len(t, found, 1)
		require.Equal(t, "string", found[0]["panic"], "what it was panicked with may be a secret")
		unshown(t, "stack", fmt.Sprint(found[0]["stack"]))
		require.Contains(t, found[0]["stack"], "ami_test.bad.ActionStarted")
		require.Equal(t, "pbx1", found[0]["server_key"])
	})
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithLogger(slog.New(panicky{slog.DiscardHandler})), ami.WithObserver(bad{}))
		sub := c.Subscribe(ami.Named("Test"), ami.Where(func(event.Event) bool { panic("no") }))
		broadcast(srv, 1, 10)
		got, _ := buffered(t, sub)
		require.Empty(t, got)
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		require.EqualValues(t, 2, c.Stats().ObserverPanics)
		require.EqualValues(t, 2, c.Stats().LogPanics)
		require.EqualValues(t, 10, c.Stats().Delivery.PredicatePanics)
	})
}

func TestNilObserver(t *testing.T) {
	_, err := ami.New(ami.Node{Key: "a", Addr: "127.0.0.1", Username: "u", Secret: ami.NewSecret("s")}, ami.WithObserver(nil))
	e, ok := errors.AsType[*ami.ConfigError](err)
	require.True(t, ok)
	require.Equal(t, "Observer", e.Key)
}

// TestStatsOfDelivery counts what subscriptions take and lose (G4).
func TestStatsOfDelivery(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		sub := c.Subscribe(ami.Named("Test"), ami.Buffer(4))
		gone := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 10)
		synctest.Wait()
		require.Equal(t, ami.DeliveryStats{Subscriptions: 2, Buffered: 14, Dropped: 6}, c.Stats().Delivery)
		gone.Close()
		for e, err := range sub.All(t.Context()) {
			require.NoError(t, err)
			if e.Get("N") == "8" {
				break // two of the four
			}
		}
		require.Equal(t, ami.DeliveryStats{Subscriptions: 1, Buffered: 2, Dropped: 6, Delivered: 2}, c.Stats().Delivery)
	})
}

// TestDeliveredOnlyGrows: events that All has fetched and then puts back are not
// delivered meanwhile: a counter that goes down is a restart to Prometheus (G4).
func TestDeliveredOnlyGrows(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		sub := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 10)
		for i := range 10 {
			for _, err := range sub.All(t.Context()) {
				require.NoError(t, err)
				require.EqualValues(t, i+1, c.Stats().Delivery.Delivered)
				break
			}
			require.EqualValues(t, i+1, c.Stats().Delivery.Delivered)
		}
	})
}

func TestStatsOfCluster(t *testing.T) { // G4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		up, down := node(srv), node(srv)
		down.Key, down.Secret = "pbx2", ami.NewSecret("wrong")
		cl, err := ami.NewCluster([]ami.Node{up, down}, ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		sub := cl.Subscribe(ami.Named("Test"))
		done := make(chan error, 1)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 1))
		time.Sleep(3 * time.Second) // the refusal takes a second
		broadcast(srv, 1, 3)
		got, _ := buffered(t, sub)
		require.Len(t, got, 3)

		s := cl.Stats()
		require.Equal(t, 1, s.Ready)
		require.Len(t, s.Nodes, 2)
		require.EqualValues(t, 3, s.Delivery.Delivered)
		require.Equal(t, "closed", s.Nodes["pbx1"].Breaker)
		require.Nil(t, s.Nodes["pbx1"].FailuresBy)
		require.Equal(t, map[string]uint64{"login": 1}, s.Nodes["pbx2"].FailuresBy)
		require.Zero(t, s.Nodes["pbx1"].Delivery)
		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
	})
}

// broken is an action whose own code panics.
type broken struct{ action.Ping }

func (broken) AppendFields([]frame.Field) ([]frame.Field, error) { panic("broken") }

// nameless is an action whose Name panics at one of its calls.
type nameless struct {
	action.Ping

	at, calls int
}

func (n *nameless) Name() string {
	if n.calls++; n.calls == n.at {
		panic("nameless")
	}
	return "Ping"
}

// pairs counts the actions that have begun and not ended.
type pairs struct{ open int }

func (p *pairs) ActionStarted(ctx context.Context, _, _ string) context.Context {
	p.open++
	return ctx
}
func (p *pairs) ActionEnded(context.Context, ami.ActionEnd) { p.open-- }

// TestObserverOfBrokenAction: a panic of the action's own code reaches the caller,
// and the observation ends.
func TestObserverOfBrokenAction(t *testing.T) { // G4, C8
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		o := new(ends)
		c := dial(t, srv, ami.WithObserver(o))
		for name, send := range map[string]func(){
			"Send":  func() { _, _ = c.Send(t.Context(), broken{}) },
			"Start": func() { c.Start(t.Context(), broken{}) },
			"List": func() {
				for _, err := range c.List(t.Context(), broken{}) {
					t.Error("nothing was sent", err)
				}
			},
		} {
			require.PanicsWithValue(t, "broken", send, name)
			e := o.last(t)
			require.ErrorContains(t, e.Err, "panicked", name)
			require.False(t, e.Sent)
		}
		var s pairs
		c = dial(t, srv, ami.WithObserver(o), ami.WithObserver(&s))
		for at := 1; at < 8; at++ { // the name is asked for more than once
			for name, send := range map[string]func(action.Action){
				"Send":  func(a action.Action) { _, _ = c.Send(t.Context(), a) },
				"Start": func(a action.Action) { _, _ = c.Start(t.Context(), a).Result() },
				"List": func(a action.Action) {
					for _, err := range c.List(t.Context(), a) {
						require.NoError(t, err)
					}
				},
			} {
				func() {
					defer func() { _ = recover() }()
					send(&nameless{at: at})
				}()
				o.last(t)
				require.Zero(t, s.open, "%s, call %d of Name: what begins ends", name, at)
			}
		}
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
	})
}
