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
