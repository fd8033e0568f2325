package jetstream_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/jetstream"
)

// TestServerDies: the server is killed twice while records are published. None is
// missing, none is there twice, and they are in order.
func TestServerDies(t *testing.T) {
	for name, path := range map[string]string{"embedded": "", "system": natsServer()} {
		t.Run(name, func(t *testing.T) {
			if name == "system" && path == "" {
				ofSystem(t) // tells that it is not there
			}
			const total, batch = 20_000, 512
			c := newChild(t, path)
			c.start(t)
			o := jetstream.Options{URL: c.url()}
			b := open(t, o)
			records := some("a", 1, total)
			for i := range records {
				records[i].Node = []string{"a", "b", "c"}[i%3]
			}

			var done atomic.Int64
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for n := 0; n < total && ctx.Err() == nil; {
					m, err := b.Publish(ctx, records[n:min(n+batch, total)])
					n += m
					done.Store(int64(n))
					if err != nil {
						select { // as the bridge waits
						case <-time.After(5 * time.Millisecond):
						case <-ctx.Done():
						}
					}
				}
			}()
			for _, at := range []int64{total / 5, total / 2} {
				for done.Load() < at { // in the middle of a batch, most likely
					select {
					case <-ctx.Done():
						t.Fatal("too slow")
					case <-time.After(time.Millisecond):
					}
				}
				c.kill(t)
				c.start(t)
			}
			<-ended
			require.NoError(t, ctx.Err())
			require.Equal(t, idsOf(records), ids(stored(t, o)))
			stats := b.Stats()
			t.Logf("%+v", stats)
			require.Equal(t, uint64(total), stats.Published)
			require.GreaterOrEqual(t, stats.Connects, uint64(3), "it was killed")
			require.Zero(t, stats.Reordered)
		})
	}
}
