package ami_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// TestDropsOfClosedSubscription: what it has lost since its last summary is logged
// when it is closed, not at the next one, which it will not see; and Close waits for
// no log handler.
func TestDropsOfClosedSubscription(t *testing.T) { // E6, G1
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := &stuck{logbook: newLogbook(), gate: make(chan struct{})}
		c := dial(t, srv, ami.WithLogger(slog.New(log)))
		sub := c.Subscribe(ami.Named("Test"), ami.Buffer(2))
		quiet := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 10)
		start := time.Now()
		sub.Close()
		quiet.Close()
		require.Zero(t, time.Since(start))
		close(log.gate)
		synctest.Wait()
		found := log.find("events dropped: a subscription does not keep up")
		require.Len(t, found, 1)
		require.EqualValues(t, 8, found[0]["dropped_delta"])
		require.EqualValues(t, 8, found[0]["dropped_total"])
		require.Equal(t, "pbx1", found[0]["server_key"])
		time.Sleep(time.Minute) // fake; the summary that was due
		require.Len(t, log.find("events dropped: a subscription does not keep up"), 1, "told once")
		require.EqualValues(t, 8, c.Stats().Delivery.Dropped)

		again := c.Subscribe(ami.Named("Test"), ami.Buffer(2))
		broadcast(srv, 1, 10)
		require.NoError(t, c.Close())
		again.Close()
		require.Len(t, log.find("events dropped: a subscription does not keep up"), 2, "Close waits for it")
	})
}

// TestDropSummaryOfBurst: a burst of 100,000 drops is one record an interval and
// subscription, and none is left out (E6, G1).
func TestDropSummaryOfBurst(t *testing.T) {
	bursts := []int{100_000, 1000}
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithDropSummary(10*time.Second))
		subs := []*ami.Subscription{c.Subscribe(ami.Buffer(2)), c.Subscribe(ami.Buffer(2), ami.DropNewest())}
		for i, burst := range bursts {
			require.NoError(t, srv.Flood(t.Context(), 0, burst+2))
			synctest.Wait()
			time.Sleep(10 * time.Second) // fake
			synctest.Wait()
			require.Len(t, log.find("events dropped: a subscription does not keep up"), (i+1)*len(subs))
		}
		var told, lost uint64
		for i, r := range log.find("events dropped: a subscription does not keep up") {
			delta, ok := r["dropped_delta"].(uint64)
			require.True(t, ok)
			require.GreaterOrEqual(t, delta, uint64(bursts[i/len(subs)]))
			require.Equal(t, "pbx1", r["server_key"])
			require.EqualValues(t, 2, r["queue_depth"])
			told += delta
		}
		for _, s := range subs {
			lost += s.Dropped()
		}
		require.Equal(t, lost, told)
		require.Equal(t, lost, c.Stats().Delivery.Dropped)
	})
}

// TestSummaryCountsOverdue: what the summary itself finds overdue is in the counters
// as well as in the record (E6, G4).
func TestSummaryCountsOverdue(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithDropSummary(10*time.Second))
		c.Subscribe(ami.Named("Test"), ami.Buffer(2), ami.BlockUpTo(time.Second))
		broadcast(srv, 1, 5)         // two in the buffer, two wait, one is lost
		time.Sleep(11 * time.Second) // fake
		found := log.find("events dropped: a subscription does not keep up")
		require.Len(t, found, 1)
		require.EqualValues(t, 3, found[0]["dropped_delta"])
		require.EqualValues(t, 3, found[0]["dropped_total"])
		require.EqualValues(t, 3, c.Stats().Delivery.Dropped)
	})
}
