package jetstream_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/embedded"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/jetstream"
)

// cutter starts a way to a server that breaks each connection after some of the
// bytes that a window has, as long as cuts are left.
func cutter(t *testing.T, server string, cuts int) (addr string) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			var d net.Dialer
			far, err := d.DialContext(ctx, "tcp", server)
			if err != nil {
				_ = near.Close()
				return
			}
			limit := int64(1) << 62
			if cuts--; cuts >= 0 {
				limit = 4_000 + random.Int64N(700_000)
			}
			end := func() {
				_ = near.Close()
				_ = far.Close()
			}
			stop := context.AfterFunc(ctx, end)
			running.Go(func() {
				_, _ = io.CopyN(far, near, limit) // what is behind is lost
				end()
				stop()
			})
			running.Go(func() {
				_, _ = io.Copy(near, far)
				end()
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		require.NoError(t, l.Close())
		running.Wait()
	})
	return l.Addr().String()
}

// TestConnectionsBreak: wherever a connection breaks, nothing overtakes what was
// lost with it.
func TestConnectionsBreak(t *testing.T) {
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Port: embedded.AnyPort})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	const cuts = 40
	o := jetstream.Options{URL: "nats://" + cutter(t, s.URL()[len("nats://"):], cuts), Lazy: true}
	b := open(t, o)
	records := brokertest.Records("a", 1, 20_000)
	for i := range records {
		records[i].Payload = make([]byte, 500)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon)
	defer cancel()
	broke := 0
	for n := 0; n < len(records); {
		m, err := b.Publish(ctx, records[n:])
		n += m
		if err != nil {
			require.NoError(t, ctx.Err())
			broke++
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	require.GreaterOrEqual(t, broke, cuts/2)
	require.Equal(t, idsOf(records), ids(stored(t, jetstream.Options{URL: s.URL()})))
	stats := b.Stats()
	require.Zero(t, stats.Reordered)
	require.Positive(t, stats.Duplicates, "a confirmation was lost")
}
