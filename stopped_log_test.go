package ami_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/asynclog"
)

// stopped is a log handler that stands at every record until gate is closed.
type stopped struct {
	*logbook

	gate chan struct{}
}

func (h *stopped) WithAttrs(attrs []slog.Attr) slog.Handler {
	<-h.gate
	return h.logbook.WithAttrs(attrs)
}

func (h *stopped) Handle(ctx context.Context, r slog.Record) error {
	<-h.gate
	return h.logbook.Handle(ctx, r)
}

// TestStoppedLog: the log stands from the first record on, and no action, event,
// keepalive or reconnect takes a nanosecond longer (G3).
func TestStoppedLog(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := &stopped{newLogbook(), make(chan struct{})}
		h, err := asynclog.New(log, asynclog.WithCapacity(100))
		require.NoError(t, err)
		start := time.Now()
		c := dial(t, srv, ami.WithLogger(slog.New(h)), ami.WithDropSummary(time.Second))
		sub := c.Subscribe(ami.Named("Test"))
		c.Subscribe(ami.Named("Test"), ami.Buffer(2)) // loses events, which is logged
		for range 200 {
			_, err := c.Send(t.Context(), action.Ping{}) // logged by who sends
			require.NoError(t, err)
		}
		broadcast(srv, 1, 500)
		got, lost := buffered(t, sub)
		require.Equal(t, numbers(1, 500), got)
		require.Zero(t, lost)
		require.Zero(t, time.Since(start))

		time.Sleep(10 * time.Minute) // fake; keepalives
		require.Zero(t, c.Stats().Losses)
		srv.Session(1).Reset()
		synctest.Wait()
		start = time.Now()
		require.NoError(t, c.Ready(t.Context()))
		require.LessOrEqual(t, time.Since(start), 10*time.Second, "the longest backoff")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, h.Close(ctx))
		close(log.gate)
		require.NoError(t, h.Close(t.Context()))
		s := h.Stats()
		require.Greater(t, s.Dropped[asynclog.CapacityExceeded], uint64(100))
		require.GreaterOrEqual(t, s.Dropped[asynclog.Closed], uint64(100))
	})
}
