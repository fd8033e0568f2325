package ami_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// messages returns the messages of all records, in order.
func (r *register) messages() (all []string) {
	for _, k := range r.all() {
		all = append(all, k.Message)
	}
	return all
}

// values returns an attribute of all records with a message, in order.
func (r *register) values(message, key string) (all []any) {
	for _, k := range r.all() {
		if k.Message == message {
			all = append(all, k.attrs[key].Any())
		}
	}
	return all
}

func (r *register) levels(message string) (all []slog.Level) {
	for _, k := range r.all() {
		if k.Message == message {
			all = append(all, k.Level)
		}
	}
	return all
}

// TestReconnectIsToldAndCounted: what the log says of losses and attempts is what
// the counters say.
func TestReconnectIsToldAndCounted(t *testing.T) { // D5, D8, G1, G4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newRegister()
		c := dial(t, srv, ami.WithLogger(slog.New(log)))
		srv.SetFaults(amitest.Faults{Refuse: true})
		srv.Session(1).Kick()
		time.Sleep(3 * time.Second) // fake; some attempts fail
		synctest.Wait()
		srv.SetFaults(amitest.Faults{})
		require.NoError(t, c.Ready(t.Context()))
		synctest.Wait()

		s := c.Stats()
		require.EqualValues(t, 2, s.Connects)
		require.EqualValues(t, 1, s.Losses)
		require.Positive(t, s.Failures)
		require.Equal(t, map[string]uint64{"dial": s.Failures}, s.FailuresBy)
		require.Equal(t, []any{uint64(1), uint64(2)}, log.values("connected", "epoch"))
		attempts := log.values("disconnected", "attempt")
		require.Len(t, attempts, int(s.Losses+s.Failures))
		for i, a := range attempts {
			require.EqualValues(t, i, a, "0 is the loss, then each attempt")
		}
		require.Equal(t, append([]any{"ready"}, slices.Repeat([]any{"connecting"}, int(s.Failures))...), log.values("disconnected", "state"))
		require.Equal(t, []any{int64(1), int64(s.Failures) + 1}, log.values("connected", "attempt"))
		for _, key := range []string{"server_key", "host", "port", "backoff", "next_retry_at", "breaker", "reason"} {
			require.Len(t, slices.DeleteFunc(log.values("disconnected", key), func(v any) bool { return v == nil || v == "" }), len(attempts), key)
		}
	})
}

// TestStateThatWasReached: the record of an attempt says how far it came.
func TestStateThatWasReached(t *testing.T) { // G1
	for state, faults := range map[string]amitest.Faults{
		"connecting":     {Refuse: true},
		"connected":      {BannerDelay: time.Hour},
		"authenticating": {LoginError: "Authentication failed"},
	} {
		t.Run(state, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(faults)
				log := newRegister()
				_, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)))
				require.Error(t, err)
				require.Equal(t, []any{state}, log.values("disconnected", "state"))
			})
		})
	}
}

// TestBreakerIsToldAndCounted: each change of the breaker is one record and counts
// once, and the last one is what Stats says.
func TestBreakerIsToldAndCounted(t *testing.T) { // D5, G1, G4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.SetFaults(amitest.Faults{Refuse: true})
		log := newRegister()
		c := run(t, srv, ami.WithLogger(slog.New(log)), ami.WithBreaker(2, time.Minute, 1))
		time.Sleep(50 * time.Second) // fake
		synctest.Wait()
		require.Equal(t, "open", c.Stats().Breaker)
		require.EqualValues(t, 1, c.Stats().BreakerChanges)
		require.Equal(t, []slog.Level{slog.LevelWarn}, log.levels("circuit breaker changed"))
		require.EqualValues(t, 2, c.Stats().Failures, "none is made while it is open")

		srv.SetFaults(amitest.Faults{})
		require.NoError(t, c.Ready(t.Context()))
		synctest.Wait()
		require.Equal(t, "closed", c.Stats().Breaker)
		require.EqualValues(t, 3, c.Stats().BreakerChanges)
		require.Equal(t, []any{"closed", "open", "half-open"}, log.values("circuit breaker changed", "from"))
		require.Equal(t, []any{"open", "half-open", "closed"}, log.values("circuit breaker changed", "to"))
		require.Equal(t, []slog.Level{slog.LevelWarn, slog.LevelInfo, slog.LevelInfo}, log.levels("circuit breaker changed"))
		require.Equal(t, "open", log.values("disconnected", "breaker")[1])
	})
}

// TestDropsAreToldAndCounted: the records of all subscriptions add up to the
// counters, whether a summary, a close or the end of the client told them.
func TestDropsAreToldAndCounted(t *testing.T) { // E6, G1, G4
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newRegister()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithDropSummary(time.Second))
		oldest := c.Subscribe(ami.Named("Test"), ami.Buffer(2))
		newest := c.Subscribe(ami.Named("Test"), ami.Buffer(4), ami.DropNewest())
		broadcast(srv, 1, 10)
		time.Sleep(2 * time.Second) // fake; the summary
		broadcast(srv, 11, 20)
		oldest.Close()
		require.NoError(t, c.Close())

		require.EqualValues(t, 18, oldest.Dropped())
		require.EqualValues(t, 16, newest.Dropped())
		require.EqualValues(t, 34, c.Stats().Delivery.Dropped)
		require.Zero(t, c.Stats().EventsDropped)
		var sum uint64
		const message = "events dropped: a subscription does not keep up"
		for _, delta := range log.values(message, "dropped_delta") {
			sum += delta.(uint64)
		}
		require.EqualValues(t, 34, sum)
		require.ElementsMatch(t, []any{uint64(8), uint64(6), uint64(18), uint64(16)}, log.values(message, "dropped_total"))
	})
}

// TestCloseIsToldAndCounted: an end that was wanted is one record that says why,
// no loss and no failure, whatever the node was doing.
func TestCloseIsToldAndCounted(t *testing.T) { // D7, G1, G4
	vacation := errors.New("vacation: password=" + canary)
	for _, tc := range []struct {
		name   string
		faults amitest.Faults
		end    func(t *testing.T, c *ami.Client, cancel context.CancelCauseFunc)
		reason string
	}{
		{"Close", amitest.Faults{}, func(t *testing.T, c *ami.Client, _ context.CancelCauseFunc) { require.NoError(t, c.Close()) }, "Close"},
		{"Shutdown", amitest.Faults{}, func(t *testing.T, c *ami.Client, _ context.CancelCauseFunc) {
			require.NoError(t, c.Shutdown(t.Context()))
		}, "Shutdown"},
		{"context", amitest.Faults{}, func(_ *testing.T, _ *ami.Client, cancel context.CancelCauseFunc) { cancel(nil) }, "context canceled"},
		{"cause", amitest.Faults{}, func(_ *testing.T, _ *ami.Client, cancel context.CancelCauseFunc) { cancel(vacation) }, "vacation: password=[redacted]"},
		{"between attempts", amitest.Faults{Refuse: true}, func(t *testing.T, c *ami.Client, _ context.CancelCauseFunc) { require.NoError(t, c.Close()) }, "Close"},
		{"in an attempt", amitest.Faults{BannerDelay: time.Hour}, func(t *testing.T, c *ami.Client, _ context.CancelCauseFunc) { require.NoError(t, c.Close()) }, "Close"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(tc.faults)
				log := newRegister()
				c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)), ami.WithActionLanes(1))
				require.NoError(t, err)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				done := make(chan error, 1)
				go func() { done <- c.Run(ctx) }()
				synctest.Wait()
				before := c.Stats()
				told := len(log.all())
				tc.end(t, c, cancel)
				require.NoError(t, <-done)
				require.NoError(t, c.Close(), "once more tells nothing more")

				require.Equal(t, []string{"closed"}, log.messages()[told:], "one for the node, none for a lane")
				require.Equal(t, []any{tc.reason}, log.values("closed", "reason"))
				require.Equal(t, []slog.Level{slog.LevelInfo}, log.levels("closed"))
				require.Equal(t, []any{before.Epoch}, log.values("closed", "epoch"))
				s := c.Stats()
				require.Zero(t, s.Losses)
				require.Equal(t, before.Failures, s.Failures)
				require.Equal(t, before.Connects, s.Connects)
				require.Equal(t, ami.Disconnected, s.State)
			})
		})
	}
	bubble(t, func(t *testing.T, srv *amitest.Server) { // in a cluster
		log := newRegister()
		other := node(srv)
		other.Key = "pbx2"
		cl, err := ami.NewCluster([]ami.Node{node(srv), other}, ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 0))
		require.NoError(t, cl.Remove(t.Context(), "pbx2"))
		require.Equal(t, []any{"pbx2"}, log.values("closed", "server_key"))
		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
		require.Equal(t, []any{"pbx2", "pbx1"}, log.values("closed", "server_key"))
		require.Equal(t, []any{"the node was removed from its cluster", "Close"}, log.values("closed", "reason"))
		require.Zero(t, cl.Stats().Nodes["pbx1"].Losses)
	})
}
