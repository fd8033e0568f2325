package ami_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// nilError is an error that one returns by mistake as a nil pointer: it is not
// nil, and all of its methods panic.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// deepError can be printed, but not looked into.
type deepError struct{}

func (deepError) Error() string { return "deep" }
func (deepError) Unwrap() error { panic("secret=" + canary) }

// plainError holds a secret that its text does not show.
type plainError struct{ Hidden string }

func (e plainError) Error() string { return "no way to the proxy: password=" + e.Hidden }

// lookups is a resolver.
type lookups func() ([]string, error)

func (l lookups) LookupHost(context.Context, string) ([]string, error) { return l() }

// TestCallbacksThatPanic: whatever is wrong with a callback, the process goes on,
// the attempt fails with an error that names node and step, and a panic is counted
// and logged with its stack, without what may be a secret.
func TestCallbacksThatPanic(t *testing.T) { // C8, G2, H1
	var none *nilError
	dials := func(f func() (net.Conn, error)) []ami.Option {
		return []ami.Option{ami.WithDialer(func(context.Context, string, string) (net.Conn, error) { return f() })}
	}
	resolves := func(f lookups) []ami.Option { return []ami.Option{ami.WithResolver(f)} }
	asks := func(f func() (ami.Secret, error)) func(*ami.Node) {
		return func(n *ami.Node) {
			n.Secret, n.SecretFunc = ami.Secret{}, func(context.Context) (ami.Secret, error) { return f() }
		}
	}
	secures := func(f func() (*tls.Config, error)) func(*ami.Node) {
		return func(n *ami.Node) { n.TLSFunc = func(context.Context) (*tls.Config, error) { return f() } }
	}
	for _, tc := range []struct {
		name   string
		node   func(*ami.Node)
		opts   []ami.Option
		op     string
		says   string
		panics string // the attribute; "" if there is none
	}{
		{"secret: panic", asks(func() (ami.Secret, error) { panic(canary) }), nil, "secret", "panicked: string", "string"},
		{"secret: panic of the runtime", asks(func() (ami.Secret, error) { return ami.Secret{}, errors.New(none.text) }), nil, "secret", "nil pointer dereference", "runtime error: invalid memory address or nil pointer dereference"},
		{"secret: nil pointer for an error", asks(func() (ami.Secret, error) { return ami.Secret{}, none }), nil, "secret", "*ami_test.nilError", "runtime error: invalid memory address or nil pointer dereference"},
		{"secret: error that cannot be unwrapped", asks(func() (ami.Secret, error) { return ami.Secret{}, deepError{} }), nil, "secret", "ami_test.deepError", "string"},
		{"TLS: nil pointer for an error", secures(func() (*tls.Config, error) { return nil, none }), nil, "tls", "*ami_test.nilError", "runtime error: invalid memory address or nil pointer dereference"},
		{"TLS: panic of its own callback", secures(func() (*tls.Config, error) {
			return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { panic(canary) }}, nil
		}), nil, "tls", "panicked: string", "string"},

		{"dialer: panic", nil, dials(func() (net.Conn, error) { panic(canary) }), "dial", "panicked: string", "string"},
		{"dialer: panic with an error", nil, dials(func() (net.Conn, error) { panic(fmt.Errorf("token %s", canary)) }), "dial", "panicked: *errors.errorString", "*errors.errorString"},
		{"dialer: panic of a runtime error of one's own", nil, dials(func() (net.Conn, error) { panic(ownRuntimeError{}) }), "dial", "ami_test.ownRuntimeError", "ami_test.ownRuntimeError"},
		{"dialer: nothing", nil, dials(func() (net.Conn, error) { return nil, nil }), "dial", "returned no connection", ""},
		{"dialer: nil pointer", nil, dials(func() (net.Conn, error) { return (*wrapped)(nil), nil }), "dial", "returned no connection", ""},
		{"dialer: nil pointer for an error", nil, dials(func() (net.Conn, error) { return nil, none }), "dial", "*ami_test.nilError", "runtime error: invalid memory address or nil pointer dereference"},
		{"dialer: error with a secret", nil, dials(func() (net.Conn, error) { return nil, plainError{canary} }), "dial", "no way to the proxy: password=[redacted]", ""},

		{"resolver: panic", nil, resolves(func() ([]string, error) { panic(canary) }), "resolve", "panicked: string", "string"},
		{"resolver: goroutine ended", nil, resolves(func() ([]string, error) { runtime.Goexit(); return nil, nil }), "resolve", "ended its goroutine", ""},
		{"resolver: nil pointer for an error", nil, resolves(func() ([]string, error) { return nil, none }), "resolve", "*ami_test.nilError", "runtime error: invalid memory address or nil pointer dereference"},
		{"resolver: error with a secret", nil, resolves(func() ([]string, error) { return nil, plainError{canary} }), "resolve", "password=[redacted]", ""},
		{"resolver: nothing", nil, resolves(func() ([]string, error) { return nil, nil }), "resolve", "no address for", ""},
		{"resolver: no addresses", nil, resolves(func() ([]string, error) { return []string{"", "10.0.0.1:5038", canary, "a\x00b"}, nil }), "resolve", "no address for", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				log := newLogbook()
				n := node(srv)
				n.Addr = "pbx.example:5038"
				if tc.node != nil {
					tc.node(&n)
				}
				opts := []ami.Option{ami.WithLogger(slog.New(log)), ami.WithResolver(lookups(func() ([]string, error) { return []string{"192.0.2.1"}, nil })), ami.WithDialer(srv.DialContext)}
				c, err := ami.New(n, append(opts, tc.opts...)...)
				require.NoError(t, err)
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				defer func() {
					require.NoError(t, c.Close())
					require.NoError(t, <-done)
				}()
				synctest.Wait()
				time.Sleep(10 * time.Second) // fake; more attempts
				synctest.Wait()
				err = c.Ready(cancelled(t))
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.op, e.Op)
				require.Equal(t, "pbx1", e.Node)
				require.ErrorContains(t, err, tc.says)
				unshown(t, "error", err.Error())
				hidden(t, e)
				hidden(t, e.Err)
				unshown(t, "log", fmt.Sprint(*log.records))

				s := c.Stats()
				require.Greater(t, s.FailuresBy[tc.op], uint64(1), "it goes on")
				found := log.find("a callback panicked")
				if tc.panics == "" {
					require.Empty(t, found)
					require.Zero(t, s.CallbackPanics)
					return
				}
				require.Equal(t, s.FailuresBy[tc.op], s.CallbackPanics)
				require.Len(t, found, 1)
				require.Equal(t, "pbx1", found[0]["server_key"])
				require.Equal(t, tc.op, found[0]["step"])
				require.Equal(t, tc.panics, found[0]["panic"])
				require.Contains(t, found[0]["stack"], "ami_test.")
			}, amitest.WithTLS())
		})
	}
}

// ownRuntimeError only says that it is one of the runtime.
type ownRuntimeError struct{}

func (ownRuntimeError) Error() string { return canary }
func (ownRuntimeError) RuntimeError() {}

// TestResolverThatPanicsLater: the last addresses serve, and the panic is told
// once, whatever the number of lanes that waited for the answer.
func TestResolverThatPanicsLater(t *testing.T) { // C8, D6
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log, r := newLogbook(), &resolver{}
		r.set(func() ([]string, error) { return []string{"10.0.0.1"}, nil })
		n := node(srv)
		n.Addr = "pbx.example:5038"
		c, err := ami.Dial(t.Context(), n, ami.WithResolver(r), ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)))
		require.NoError(t, err)
		defer c.Close()
		r.set(func() ([]string, error) { panic(canary) })
		srv.Session(1).Kick()
		synctest.Wait()
		require.NoError(t, c.Ready(t.Context()))
		require.EqualValues(t, 1, c.Stats().CallbackPanics)
		require.Len(t, log.find("a callback panicked"), 1)
		unshown(t, "log", fmt.Sprint(*log.records))
	})
}

// panickyLog panics in each of its methods, one after the other.
type panickyLog struct{ in string }

func (h panickyLog) Enabled(context.Context, slog.Level) bool {
	if h.in == "Enabled" {
		panic(canary)
	}
	return true
}

func (h panickyLog) Handle(context.Context, slog.Record) error {
	if h.in == "Handle" {
		panic(canary)
	}
	return nil
}

func (h panickyLog) WithAttrs([]slog.Attr) slog.Handler {
	if h.in == "WithAttrs" {
		panic(canary)
	}
	return h
}

func (h panickyLog) WithGroup(string) slog.Handler { panic(canary) }

// TestLogHandlerThatPanics: a hook that watches must not end what it watches. The
// panics are counted.
func TestLogHandlerThatPanics(t *testing.T) { // C8, G3
	for _, in := range []string{"Enabled", "Handle", "WithAttrs"} {
		t.Run(in, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv, ami.WithLogger(slog.New(panickyLog{in})), ami.WithActionLanes(1), ami.WithObserver(bad{}), ami.WithDropSummary(time.Second))
				c.Subscribe(ami.Named("Test"), ami.Buffer(2))
				c.Subscribe(ami.Where(func(event.Event) bool { panic(canary) }))
				broadcast(srv, 1, 10)
				_, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
				time.Sleep(time.Minute) // fake; drop summary
				srv.Session(1).Kick()
				synctest.Wait()
				require.NoError(t, c.Ready(t.Context()))
				require.NotZero(t, c.Stats().LogPanics)
				require.EqualValues(t, 2, c.Stats().ObserverPanics, "those of the log are not among them")
			})
		})
	}
	bubble(t, func(t *testing.T, srv *amitest.Server) { // of a cluster: told there
		cl, err := ami.NewCluster([]ami.Node{node(srv)}, ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(panickyLog{"Handle"})))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 0))
		require.EqualValues(t, 1, cl.Stats().LogPanics)
		require.Zero(t, cl.Stats().Nodes["pbx1"].LogPanics)
		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
	})
}

// TestBroadcastOfBrokenAction: the panic of an action's own code comes to the
// caller, as with Send, and not to a goroutine of the library.
func TestBroadcastOfBrokenAction(t *testing.T) { // C8
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		nodes := []ami.Node{node(srv), node(srv)}
		nodes[1].Key = "pbx2"
		cl, err := ami.NewCluster(nodes, ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 0))
		require.PanicsWithValue(t, "broken", func() {
			for range cl.Broadcast(t.Context(), broken{}) {
				t.Error("nothing was sent")
			}
		})
		require.PanicsWithValue(t, "broken", func() {
			for _, err := range cl.List(t.Context(), broken{}) {
				t.Error("nothing was sent", err)
			}
		})
		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
	})
}

// TestPredicateThatEndsItsGoroutine: as a failed assertion in it does. Its subscription
// goes without that event, and counts it as a panic; no other event of anybody is lost.
func TestPredicateThatEndsItsGoroutine(t *testing.T) { // C8
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)))
		before := c.Subscribe(ami.Named("Test"))
		odd := c.Subscribe(ami.Named("Test"), ami.Where(func(e event.Event) bool {
			if n := e.Get("N"); n == "3" || n == "4" || n == "20" {
				runtime.Goexit()
			}
			return true
		}))
		behind := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 10)
		broadcast(srv, 11, 20)
		require.EqualValues(t, 3, c.Stats().Delivery.PredicatePanics)
		found := log.find("a subscription's predicate panicked")
		require.Len(t, found, 1)
		require.Equal(t, "ami.goexit", found[0]["panic"])
		for _, sub := range []*ami.Subscription{before, behind} {
			got, lost := buffered(t, sub)
			require.Equal(t, numbers(1, 20), got)
			require.Zero(t, lost)
		}
		got, _ := buffered(t, odd)
		require.Equal(t, slices.Concat(numbers(1, 2), numbers(5, 19)), got)
		broadcast(srv, 20, 20) // on the way to the end
		require.NoError(t, c.Close())
	})
}
