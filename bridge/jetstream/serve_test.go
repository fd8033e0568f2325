package jetstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

// A service asks for actions.
type service struct {
	*nats.Conn
	prefix string
}

func newService(t *testing.T, o jetstream.Options) *service {
	t.Helper()
	prefix := o.Prefix
	if prefix == "" {
		prefix = jetstream.DefaultPrefix
	}
	return &service{client(t, o).Conn(), prefix}
}

// ask sends a request again and again until somebody serves the subject.
func (s *service) ask(t *testing.T, node, data string, headers ...string) string {
	t.Helper()
	m := nats.NewMsg(s.prefix + ".actions." + node)
	m.Data = []byte(data)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	var answer *nats.Msg
	require.Eventually(t, func() bool {
		var err error
		answer, err = s.RequestMsg(m, soon)
		return err == nil
	}, soon, 5*time.Millisecond)
	return string(answer.Data)
}

// code is that of an answer which reports a failure.
func code(t *testing.T, answer string) string {
	t.Helper()
	var a struct {
		OK    *bool
		Error struct {
			Code, Message string
			RetrySafe     bool `json:"retry_safe"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &a), answer)
	require.NotNil(t, a.OK, answer)
	require.False(t, *a.OK)
	require.NotEmpty(t, a.Error.Message)
	require.Equal(t, a.Error.Code != jetstream.CodeAnswer, a.Error.RetrySafe)
	return a.Error.Code
}

// serving runs Serve; the function returned ends it and returns what it returned.
func serving(t *testing.T, b *jetstream.Broker, nodes func() []string, handle func(context.Context, bridge.Request) []byte) func() error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, nodes, handle) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// TestServe: each request gets to handle with its node, and the answer back.
func TestServe(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		var held atomic.Pointer[[]string]
		held.Store(&[]string{"a.b", "any"})
		end := serving(t, b, func() []string { return *held.Load() }, func(_ context.Context, r bridge.Request) []byte {
			return []byte(r.Node + "|" + string(r.Data))
		})
		s := newService(t, o)
		require.Equal(t, "a.b|1", s.ask(t, "a=2Eb", "1"))
		require.Equal(t, "any|2", s.ask(t, "=61ny", "2"))
		require.Equal(t, "|3", s.ask(t, "any", "3"))

		held.Store(&[]string{"c"})
		require.Equal(t, "c|4", s.ask(t, "c", "4"))
		_, err := s.Request(s.prefix+".actions.a=2Eb", nil, soon)
		require.ErrorIs(t, err, nats.ErrNoResponders)
		held.Store(&[]string{})
		require.Eventually(t, func() bool {
			_, err := s.Request(s.prefix+".actions.any", nil, soon)
			return err != nil
		}, soon, 5*time.Millisecond, "without a node nobody is any")
		require.NoError(t, end())
	})
}

// TestServeRefuses: what handle never sees.
func TestServeRefuses(t *testing.T) {
	o := jetstream.Options{Server: here(t), MaxRequest: 100}
	b := open(t, o)
	var called atomic.Int64
	end := serving(t, b, func() []string { return []string{"a"} }, func(ctx context.Context, r bridge.Request) []byte {
		called.Add(1)
		if string(r.Data) == "much" {
			return make([]byte, 2<<20)
		}
		at, _ := ctx.Deadline()
		return []byte(time.Until(at).String())
	})
	s := newService(t, o)
	has := func(want time.Duration, answer string) {
		t.Helper()
		left, err := time.ParseDuration(answer)
		require.NoError(t, err)
		require.LessOrEqual(t, left, want)
		require.Greater(t, left, want*9/10-8*time.Second, "on a busy machine")
	}
	has(10*time.Second, s.ask(t, "a", "{}"))
	has(2*time.Minute, s.ask(t, "a", "{}", jetstream.HeaderTimeout, "2m"))
	has(3*time.Minute, s.ask(t, "a", strings.Repeat("x", 100), jetstream.HeaderTimeout, "2m",
		jetstream.HeaderDeadline, time.Now().Add(3*time.Minute).Format(time.RFC3339Nano)))
	has(5*time.Minute, s.ask(t, "a", "{}", jetstream.HeaderTimeout, "1000000h"))
	has(5*time.Minute, s.ask(t, "a", "{}", jetstream.HeaderDeadline, "9999-01-01T00:00:00Z"))
	require.Equal(t, int64(5), called.Load())
	require.Equal(t, jetstream.CodeTooLarge, code(t, s.ask(t, "a", strings.Repeat("x", 101))))
	require.Equal(t, jetstream.CodeDeadline, code(t, s.ask(t, "a", "{}", jetstream.HeaderDeadline, "2020-01-01T00:00:00Z")))
	require.Equal(t, jetstream.CodeDeadline, code(t, s.ask(t, "a", "{}", jetstream.HeaderTimeout, "-1s")))
	require.Equal(t, jetstream.CodeInvalid, code(t, s.ask(t, "a", "{}", jetstream.HeaderTimeout, "soon")))
	require.Equal(t, jetstream.CodeInvalid, code(t, s.ask(t, "a", "{}", jetstream.HeaderDeadline, "soon")))
	require.Equal(t, int64(5), called.Load())
	require.Equal(t, jetstream.CodeAnswer, code(t, s.ask(t, "a", "much")))
	require.NoError(t, end())
}

// TestServeBounds: no more than MaxRequests at a time.
func TestServeBounds(t *testing.T) {
	o := jetstream.Options{Server: here(t), MaxRequests: 2}
	b := open(t, o)
	entered, finish := make(chan struct{}), make(chan struct{})
	end := serving(t, b, func() []string { return []string{"a"} }, func(context.Context, bridge.Request) []byte {
		entered <- struct{}{}
		<-finish
		return []byte("ended")
	})
	s := newService(t, o)
	var asking sync.WaitGroup
	answers := make(chan string, 2)
	for range 2 {
		asking.Go(func() { answers <- s.ask(t, "a", "{}") })
		<-entered
	}
	require.Equal(t, jetstream.CodeBusy, code(t, s.ask(t, "a", "{}")))
	close(finish)
	require.NoError(t, end())
	asking.Wait()
	require.Equal(t, "ended", <-answers)
	require.Equal(t, "ended", <-answers)
}

// TestServeShares: one of two that serve a node gets the request.
func TestServeShares(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	var called atomic.Int64
	nodes := func() []string { return []string{"a"} }
	handle := func(context.Context, bridge.Request) []byte { called.Add(1); return []byte("ok") }
	first, second := serving(t, open(t, o), nodes, handle), serving(t, open(t, o), nodes, handle)
	s := newService(t, o)
	for range 50 {
		require.Equal(t, "ok", s.ask(t, "a", "{}"))
		require.Equal(t, "ok", s.ask(t, "any", "{}"))
	}
	require.NoError(t, first())
	require.NoError(t, second())
	require.Equal(t, int64(100), called.Load())
}

// TestServeComesBack: Serve waits for a server that is not there, and goes on when
// it has died; Close ends it.
func TestServeComesBack(t *testing.T) {
	c := natstest.New(t, natstest.Path())
	o := jetstream.Options{URL: c.URL(), Lazy: true}
	b := open(t, o)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Serve(context.Background(), func() []string { return []string{"a"} },
			func(context.Context, bridge.Request) []byte { return []byte("ok") })
	}()
	for range 2 {
		c.Start(t)
		nc, err := nats.Connect(c.URL(), nats.Timeout(soon))
		require.NoError(t, err)
		s := &service{nc, jetstream.DefaultPrefix}
		require.Equal(t, "ok", s.ask(t, "a", "{}"))
		nc.Close()
		c.Kill(t)
	}
	require.NoError(t, b.Close())
	require.ErrorIs(t, <-ended, jetstream.ErrClosed)
}

// TestServeAnswersRequesters: a requester that may only ask cannot have the bridge
// write into its own subjects or those of the server, by naming them as the place
// for the answer. Such a request is not handled.
func TestServeAnswersRequesters(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	b := open(t, o)
	_, err := b.Publish(t.Context(), brokertest.Records("a", 1, 3))
	require.NoError(t, err)
	var called atomic.Int64
	end := serving(t, b, func() []string { return []string{"a"} }, func(context.Context, bridge.Request) []byte {
		called.Add(1)
		return []byte(`{"ok":true}`)
	})
	s := newService(t, o)
	require.JSONEq(t, `{"ok":true}`, s.ask(t, "a", "{}"))
	seen, err := s.SubscribeSync(">")
	require.NoError(t, err)
	for _, reply := range []string{
		"ami.events.a.Takeover", "ami.actions.a", "$JS.API.STREAM.PURGE.AMI", "$KV.AMI_STATES.a",
	} {
		require.NoError(t, s.PublishRequest("ami.actions.a", reply, []byte("{}")))
	}
	require.JSONEq(t, `{"ok":true}`, s.ask(t, "a", "{}"), "behind them")
	require.NoError(t, end())
	for {
		m, err := seen.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		if m.Subject != "ami.actions.a" || m.Reply == "" {
			require.True(t, strings.HasPrefix(m.Subject, "_INBOX."), "%s %s", m.Subject, m.Data)
		}
	}
	require.Len(t, stored(t, o), 3)
	require.Equal(t, int64(2), called.Load())
}

// TestServeFinishes: a request that is handled when Serve is told to end keeps its
// time, and those that come at that moment are answered. Close ends it.
func TestServeFinishes(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	b := open(t, o)
	entered, finish := make(chan struct{}), make(chan struct{})
	handle := func(ctx context.Context, r bridge.Request) []byte {
		if len(r.Data) == 0 {
			return nil // is there anybody?
		}
		entered <- struct{}{}
		select {
		case <-finish:
			return []byte("done")
		case <-ctx.Done():
			return []byte("cut short")
		}
	}
	nodes := func() []string { return []string{"a"} }
	end := serving(t, b, nodes, handle)
	s := newService(t, o)
	answers := make(chan string)
	ask := func() { answers <- s.ask(t, "a", "{}") }
	go ask()
	<-entered
	ended := make(chan error)
	go func() { ended <- end() }()
	require.Eventually(t, func() bool {
		_, err := s.Request("ami.actions.a", nil, soon)
		return errors.Is(err, nats.ErrNoResponders)
	}, soon, 5*time.Millisecond, "it takes no more")
	close(finish)
	require.Equal(t, "done", <-answers)
	require.NoError(t, <-ended)

	finish = nil // never
	end = serving(t, b, nodes, handle)
	go ask()
	<-entered
	require.NoError(t, b.Close())
	require.Equal(t, "cut short", <-answers)
	require.ErrorIs(t, end(), jetstream.ErrClosed)
}
