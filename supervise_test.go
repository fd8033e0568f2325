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
)

// A logbook keeps records with all their attributes.
type logbook struct {
	mu      *sync.Mutex
	records *[]map[string]any
	attrs   []slog.Attr
}

func newLogbook() *logbook { return &logbook{mu: new(sync.Mutex), records: new([]map[string]any)} }

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithGroup(string) slog.Handler            { return l }
func (l *logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logbook{l.mu, l.records, append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	m := map[string]any{"msg": r.Message, "time": r.Time}
	for _, a := range l.attrs {
		m[a.Key] = a.Value.Any()
	}
	r.Attrs(func(a slog.Attr) bool {
		m[a.Key] = a.Value.Any()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.records = append(*l.records, m)
	return nil
}

func (l *logbook) find(msg string) (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range *l.records {
		if r["msg"] == msg {
			found = append(found, r)
		}
	}
	return found
}

// run starts a client whose server may be down.
func run(t *testing.T, srv *amitest.Server, opts ...ami.Option) *ami.Client {
	t.Helper()
	c, err := ami.New(node(srv), append([]ami.Option{ami.WithDialer(srv.DialContext)}, opts...)...)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
	return c
}

func TestRetries(t *testing.T) { // D5, D8, G1: each attempt comes exactly when the log said it would
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.SetFaults(amitest.Faults{Refuse: true})
		log := newLogbook()
		start := time.Now()
		c := run(t, srv, ami.WithLogger(slog.New(log)), ami.WithBreaker(3, time.Minute, 1))
		var tries []time.Time
		for change := range c.StateChanges(t.Context()) {
			if change.To == ami.Connecting {
				tries = append(tries, change.At)
			}
			if len(tries) == 6 {
				break
			}
		}
		synctest.Wait()
		failures := log.find("disconnected")
		require.GreaterOrEqual(t, len(failures), 5)
		for i, f := range failures[:5] {
			require.Equal(t, "pbx1", f["server_key"])
			for _, key := range []string{"host", "port", "attempt", "backoff", "next_retry_at", "reason"} {
				require.Contains(t, f, key)
			}
			next, ok := f["next_retry_at"].(time.Time)
			require.True(t, ok)
			if i+1 < len(tries) && tries[0].Equal(start) {
				require.Equal(t, next, tries[i+1])
			}
			wait, ok := f["backoff"].(time.Duration)
			require.True(t, ok)
			require.GreaterOrEqual(t, wait, 100*time.Millisecond)
			if i < 2 {
				require.LessOrEqual(t, wait, 10*time.Second)
			} else {
				require.GreaterOrEqual(t, wait, time.Minute, "the breaker is open")
			}
		}
		require.NotEmpty(t, log.find("circuit breaker changed"))
		srv.SetFaults(amitest.Faults{})
		require.NoError(t, c.Ready(t.Context()), "the half-open breaker lets a probe through")
	})
}

func TestWrongSecretIsRetriedSlowly(t *testing.T) { // D3
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.SetFaults(amitest.Faults{LoginError: "Authentication failed"})
		c := run(t, srv, ami.WithAuthBackoff(10*time.Minute, 10*time.Minute), ami.WithBackoff(time.Millisecond, time.Millisecond, time.Millisecond))
		time.Sleep(time.Second) // fake: the login is refused by then
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := c.Ready(ctx)
		require.ErrorIs(t, err, ami.ErrAuth)
		e, ok := errors.AsType[*ami.NotReadyError](err)
		require.True(t, ok)
		require.Equal(t, "pbx1", e.Node)
		require.LessOrEqual(t, c.Stats().Failures, uint64(3))
	})
}

func TestStates(t *testing.T) { // D1
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		require.Equal(t, ami.Disconnected, c.State())
		_, err = c.Send(t.Context(), action.Ping{})
		e, ok := errors.AsType[*ami.NotReadyError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, ami.Disconnected, e.State)
		changes := c.StateChanges(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		var seen []ami.State
		for change := range changes {
			require.Equal(t, "pbx1", change.Node)
			seen = append(seen, change.To)
			if change.To == ami.Ready {
				require.EqualValues(t, 1, change.Epoch)
				srv.Drop()
			}
			if change.To == ami.Disconnected {
				require.Error(t, change.Reason)
				break
			}
		}
		require.Equal(t, []ami.State{ami.Connecting, ami.Connected, ami.Authenticating, ami.Ready, ami.Disconnected}, seen)
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
		require.ErrorIs(t, c.Run(t.Context()), ami.ErrClosed)
	})
}

func TestTimeouts(t *testing.T) { // D2: exact to the nanosecond
	for _, tc := range []struct {
		name  string
		fault amitest.Faults
		after time.Duration
		op    string
	}{
		{"no greeting", amitest.Faults{BannerDelay: time.Hour}, 3 * time.Second, "banner"},
		{"half open", amitest.Faults{HalfOpen: true}, 3 * time.Second, "banner"},
		{"no answer to the login", amitest.Faults{LoginDelay: time.Hour}, 5 * time.Second, "login"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(tc.fault)
				start := time.Now()
				_, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext))
				require.Equal(t, tc.after, time.Since(start))
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.op, e.Op)
			})
		})
	}
}

func TestReadIdle(t *testing.T) { // D2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithKeepalive(50*time.Second, time.Hour), ami.WithReadIdle(60*time.Second))
		start := c.Stats().Since
		srv.Sessions()[0].Silence(true)
		for change := range c.StateChanges(t.Context()) {
			require.ErrorIs(t, change.Reason, ami.ErrReadIdle)
			require.Equal(t, 60*time.Second, change.At.Sub(start))
			break
		}
	})
}

func TestShutdownDrains(t *testing.T) { // D7
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Slow", func(c *amitest.Call) {
			c.Wait(5 * time.Second)
			c.Success("done")
		})
		c := dial(t, srv)
		p := c.Start(t.Context(), action.Custom("Slow"))
		require.NoError(t, srv.WaitAction(t.Context(), "Slow", 1))
		start := time.Now()
		require.NoError(t, c.Shutdown(t.Context()))
		require.Equal(t, 5*time.Second, time.Since(start))
		r, err := p.Result()
		require.NoError(t, err)
		require.Equal(t, "done", r.Message())
		ledger := srv.Ledger()
		require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
		require.NoError(t, c.Shutdown(t.Context()), "again")
	})
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Hold", func(*amitest.Call) {})
		c := dial(t, srv)
		p := c.Start(t.Context(), action.Custom("Hold"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Shutdown(ctx), context.DeadlineExceeded)
		_, err := p.Result()
		_, ok := errors.AsType[*ami.ConnError](err)
		require.True(t, ok, "%v", err)
	})
}

func TestShutdownWithoutReceiver(t *testing.T) { // D7: nobody reads the channel any more
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		events := c.Subscribe(ami.Named("Test")).C()
		for range 10 {
			srv.Broadcast("Test", amitest.ClassUser)
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Shutdown(context.WithoutCancel(t.Context())))
		require.Equal(t, 5*time.Second, time.Since(start))
		<-events
	})
}

func TestDropSummary(t *testing.T) { // E6: one record an interval
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithDropSummary(10*time.Second))
		sub := c.Subscribe(ami.Buffer(10), ami.Named("Test"))
		for range 3 {
			for i := range 100 {
				srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", fmt.Sprint(i)))
			}
			time.Sleep(10 * time.Second) // fake
			synctest.Wait()
		}
		found := log.find("events dropped: a subscription does not keep up")
		require.Len(t, found, 3)
		var sum uint64
		for _, r := range found {
			require.Equal(t, "pbx1", r["server_key"])
			delta, ok := r["dropped_delta"].(uint64)
			require.True(t, ok)
			sum += delta
			require.EqualValues(t, 10, r["queue_depth"])
		}
		require.Equal(t, sub.Dropped(), sum)
		require.EqualValues(t, 290, sum)
	})
}

func TestWithoutSubscription(t *testing.T) { // E6: nothing is queued and nothing is dropped
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventQueue(16))
		require.NoError(t, srv.Flood(t.Context(), 0, 1000))
		synctest.Wait()
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		s := c.Stats()
		require.GreaterOrEqual(t, s.Events, uint64(1000))
		require.Zero(t, s.EventsDropped)
		require.Zero(t, s.Queued)
	})
}

func TestRedaction(t *testing.T) { // G1, G2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Odd", func(call *amitest.Call) { call.Error("bad token=canary given") })
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithRedaction(ami.Redaction{Headers: []string{"Pin"}}))
		_, err := c.Send(t.Context(), action.Custom("Odd", "Secret", "canary", "Pin", "canary", "Variable", "X_TOKEN=canary", "Channel", "seen"))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary")
		found := log.find("action queued")
		require.Len(t, found, 1)
		require.Contains(t, found[0]["headers"], "seen")
		require.Contains(t, found[0], "action_id")
		require.Contains(t, found[0], "queue_depth")
		require.NotContains(t, fmt.Sprint(*log.records), "canary")

		_, err = ami.New(node(srv), ami.WithRedaction(ami.Redaction{Names: []string{"("}}))
		e, ok := errors.AsType[*ami.ConfigError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "Redaction.Names[0]", e.Key)
	})
}

func TestMalformed(t *testing.T) { // B3, S7, S8, S9
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithMalformedLimit(2, time.Minute))
		long := make([]byte, 300<<10)
		for i := range long {
			long[i] = 'x'
		}
		srv.Handle("Long", func(call *amitest.Call) { call.Respond(amitest.F("Value", string(long))) })
		_, err := c.Send(t.Context(), action.Custom("Long"))
		e, ok := errors.AsType[*ami.ProtocolError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "pbx1", e.Node)
		_, err = c.Send(t.Context(), action.Ping{})
		require.NoError(t, err, "the session lives")
		synctest.Wait()
		require.Len(t, log.find("malformed message discarded"), 1)
		for range 2 {
			_, err = c.Send(t.Context(), action.Custom("Long"))
			require.Error(t, err)
		}
		synctest.Wait()
		s := c.Stats()
		require.EqualValues(t, 3, s.Rejected)
		require.EqualValues(t, 1, s.Losses, "more than two within a minute end the session")
	})
}

func TestUnmatched(t *testing.T) { // C9, S3
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		srv.Handle("Odd", func(call *amitest.Call) {
			call.Raw([]byte("Response: Error\r\nMessage: no id\r\n\r\n"))
			call.Raw([]byte("Response: Success\r\nActionID: somebody:else:1\r\n\r\n"))
			call.Success("mine")
			call.Success("twice")
		})
		r, err := c.Send(t.Context(), action.Custom("Odd"))
		require.NoError(t, err)
		require.Equal(t, "mine", r.Message())
		_, err = c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		s := c.Stats()
		require.EqualValues(t, 2, s.Unmatched)
		require.EqualValues(t, 1, s.Late)
	})
}
