package jetstream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

// TestServerDies: the server is killed twice while records are published. None is
// missing, none is there twice, and they are in order.
func TestServerDies(t *testing.T) {
	for name, path := range map[string]string{"embedded": "", "system": natstest.Path()} {
		t.Run(name, func(t *testing.T) {
			if name == "system" && path == "" {
				ofSystem(t) // tells that it is not there
			}
			const total, batch = 20_000, 512
			c := natstest.New(t, path)
			c.Start(t)
			o := jetstream.Options{URL: c.URL()}
			b := open(t, o)
			records := brokertest.Records("a", 1, total)
			for i := range records {
				records[i].Node = []string{"a", "b", "c"}[i%3]
			}
			brokertest.PublishThroughDeaths(t, b, records, batch, func() {
				c.Kill(t)
				c.Start(t)
			})
			require.Equal(t, idsOf(records), ids(stored(t, o)))
			stats := b.Stats()
			t.Logf("%+v", stats)
			require.Equal(t, uint64(total), stats.Published)
			require.GreaterOrEqual(t, stats.Connects, uint64(3), "it was killed")
			require.Zero(t, stats.Reordered)
		})
	}
}
