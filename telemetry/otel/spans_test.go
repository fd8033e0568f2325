package amiotel_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/telemetry/internal/scene"
	amiotel "github.com/apn/ami/telemetry/otel"
)

// recorded returns an observer and what records its spans.
func recorded(t *testing.T) (*amiotel.Observer, *tracetest.SpanRecorder, api.Tracer) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	o, err := amiotel.New(amiotel.WithTracerProvider(provider))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o, recorder, provider.Tracer("test")
}

func attrs(s trace.ReadOnlySpan) map[string]any {
	m := map[string]any{}
	for _, kv := range s.Attributes() {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// dial returns a client that o observes, ready, on a server at asterisk:5038.
func dial(t *testing.T, srv *amitest.Server, opts ...ami.Option) *ami.Client {
	t.Helper()
	n := ami.Node{Key: "pbx1", Addr: "asterisk.example.com", Username: "admin", Secret: ami.NewSecret("secret")}
	c, err := ami.Dial(t.Context(), n, append(opts, ami.WithDialer(srv.DialContext))...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// TestSpans: a span for each Send, below the caller's; of an Async action two,
// linked (G4).
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		o, recorder, tracer := recorded(t)
		c := dial(t, srv, ami.WithObserver(o))
		o.WatchClient(c)
		ctx, caller := tracer.Start(t.Context(), "caller")
		// last returns the spans that ended with the latest action.
		last := func() []trace.ReadOnlySpan {
			synctest.Wait()
			defer recorder.Reset()
			return recorder.Ended()
		}

		r, err := c.Send(ctx, action.Ping{})
		require.NoError(t, err)
		spans := last()
		require.Len(t, spans, 1)
		require.Equal(t, "ami Ping", spans[0].Name())
		require.Equal(t, api.SpanKindClient, spans[0].SpanKind())
		require.Equal(t, caller.SpanContext().SpanID(), spans[0].Parent().SpanID())
		require.Equal(t, trace.Status{}, spans[0].Status(), "unset: it went well")
		require.Equal(t, map[string]any{
			"ami.node": "pbx1", "ami.action": "Ping", "ami.action_id": r.ActionID, "ami.sent": true,
			"server.address": "asterisk.example.com", "server.port": int64(5038),
		}, attrs(spans[0]))

		_, err = c.Send(ctx, action.Custom("Frobnicate"))
		require.Error(t, err)
		spans = last()
		require.Len(t, spans, 1)
		require.Equal(t, "ami other", spans[0].Name(), "names of spans are few")
		require.Equal(t, "Frobnicate", attrs(spans[0])["ami.action"])
		require.Equal(t, "error", attrs(spans[0])["error.type"])
		require.Equal(t, trace.Status{Code: codes.Error, Description: "Asterisk refused the action: unknown action"}, spans[0].Status())

		_, err = c.Send(ctx, action.Command{Command: "a\nb"})
		require.Error(t, err)
		spans = last()
		require.NotContains(t, attrs(spans[0]), "ami.action_id", "it never had one")
		require.Equal(t, false, attrs(spans[0])["ami.sent"])
		require.Equal(t, trace.Status{Code: codes.Error, Description: "the action cannot be sent"}, spans[0].Status())

		// A call, and one that rings until nobody waits any more.
		for channel, want := range map[string]struct {
			took   time.Duration
			status trace.Status
		}{
			"PJSIP/2001":     {20 * time.Millisecond, trace.Status{}},
			"PJSIP/noanswer": {time.Second, trace.Status{Code: codes.Error, Description: "no complete answer in time"}},
		} {
			before := time.Now()
			_, err = c.Send(ctx, action.Originate{Channel: channel, Application: "Wait", Async: true}, ami.Timeout(time.Second))
			require.Equal(t, want.status == trace.Status{}, err == nil, "%v", err)
			spans = last()
			require.Len(t, spans, 2)
			accepted, outcome := spans[0], spans[1]
			require.Equal(t, "ami Originate", accepted.Name())
			require.Equal(t, trace.Status{}, accepted.Status(), "it was accepted")
			require.True(t, before.Equal(accepted.EndTime()), "the answer takes no time")
			require.Equal(t, "ami Originate outcome", outcome.Name())
			require.Equal(t, api.SpanKindInternal, outcome.SpanKind())
			require.Equal(t, caller.SpanContext().SpanID(), outcome.Parent().SpanID())
			require.Equal(t, accepted.EndTime(), outcome.StartTime())
			require.Equal(t, want.took, outcome.EndTime().Sub(outcome.StartTime()))
			require.Len(t, outcome.Links(), 1)
			require.Equal(t, accepted.SpanContext(), outcome.Links()[0].SpanContext)
			require.Equal(t, want.status, outcome.Status())
			require.Equal(t, attrs(accepted)["ami.action_id"], attrs(outcome)["ami.action_id"])
		}

		_, err = c.Send(ctx, action.Originate{Channel: "nowhere", Application: "Wait", Async: true})
		require.Error(t, err)
		spans = last()
		require.Len(t, spans, 1, "it was never accepted")
		require.Equal(t, codes.Error, spans[0].Status().Code)

		// Start outlives what it was called from.
		srv.Handle("Slow", func(c *amitest.Call) { c.Wait(time.Second); c.Success("") })
		p := c.Start(ctx, action.Custom("Slow"))
		caller.End()
		recorder.Reset()
		_, err = p.Result()
		require.NoError(t, err)
		spans = last()
		require.Len(t, spans, 1)
		require.Equal(t, time.Second, spans[0].EndTime().Sub(spans[0].StartTime()))
	})
}

// TestSpansOfScene: each action that began has ended its span, and no secret is in
// any of them (G2).
func TestSpansOfScene(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, recorder, _ := recorded(t)
		s := scene.Begin(t, o)
		o.WatchCluster(s.Cluster)
		s.Play(t)
		require.Len(t, recorder.Ended(), len(recorder.Started()))
		described := map[string]int{}
		for _, span := range recorder.Ended() {
			described[span.Status().Description]++
			for _, kv := range span.Attributes() {
				if kv.Key != "ami.action" { // which the program has called so
					require.NotContains(t, kv.Value.String(), scene.Canary)
				}
			}
			require.NotContains(t, fmt.Sprint(span.Name(), span.Status(), span.Events()), scene.Canary)
		}
		require.Equal(t, map[string]int{
			"":                            6, // 3 Pings, 2 accepted calls, the end of one
			"Asterisk refused the action": 2,
			"Asterisk refused the action: unknown action": 1,
			"no complete answer in time":                  1,
			"the caller gave up":                          1,
			"the action cannot be sent":                   1,
			"the node takes no actions":                   1,
			"the session died":                            2,
		}, described)
	})
}

// wrapper is another observer that puts something of its own into the context.
type wrapper struct{ tracer api.Tracer }

func (w wrapper) ActionStarted(ctx context.Context, _, _ string) context.Context {
	ctx, _ = w.tracer.Start(ctx, "wrapped")
	return ctx
}

func (w wrapper) ActionEnded(ctx context.Context, _ ami.ActionEnd) { api.SpanFromContext(ctx).End() }

// TestOtherObservers: spans of others in the context are left alone, and so are
// those of a second Observer.
func TestOtherObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		first, recorder, tracer := recorded(t)
		second, others, _ := recorded(t)
		c := dial(t, srv, ami.WithObserver(first), ami.WithObserver(second), ami.WithObserver(wrapper{tracer}))
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		require.Len(t, recorder.Ended(), 2)
		require.Equal(t, "ami Ping", recorder.Ended()[0].Name())
		require.Equal(t, "wrapped", recorder.Ended()[1].Name())
		require.Len(t, others.Ended(), 1)
		require.NotContains(t, attrs(others.Ended()[0]), "server.address", "nothing is watched")
		first.ActionEnded(t.Context(), ami.ActionEnd{Node: "pbx1", Action: "Ping"}) // whose beginning it has not seen
		require.Len(t, recorder.Ended(), 2)
	})
}

// TestSpansWhileNodesChange runs with -race.
func TestSpansWhileNodesChange(t *testing.T) {
	srv := amitest.NewServer(amitest.WithoutLedger())
	defer srv.Close()
	o, recorder, _ := recorded(t)
	node := ami.Node{Key: "pbx0", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}
	cl, err := ami.NewCluster([]ami.Node{node}, ami.WithDialer(srv.DialContext), ami.WithObserver(o))
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() { _ = cl.Run(context.WithoutCancel(t.Context())) }) // nil: Close ends it
	require.NoError(t, cl.Ready(t.Context(), 1))
	var sending sync.WaitGroup
	for range 2 {
		sending.Go(func() {
			for range 200 {
				_, _ = cl.Send(t.Context(), action.Ping{}) // the node may leave under it
			}
		})
	}
	node.Key = "pbx1"
	for range 20 {
		o.WatchCluster(cl)
		require.NoError(t, cl.Add(node))
		require.NoError(t, cl.Remove(t.Context(), "pbx1"))
	}
	sending.Wait()
	require.NoError(t, cl.Close())
	running.Wait()
	require.NotEmpty(t, recorder.Ended())
	require.Len(t, recorder.Ended(), len(recorder.Started()))
}
