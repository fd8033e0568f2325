package redisstream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// TestServerDies: the server is killed twice while records are published. None is
// missing, none is there twice, and they are in order.
func TestServerDies(t *testing.T) {
	const total, offer = 20_000, 700
	s := own(t)
	o := redisstream.Options{URL: s.URL(), MaxLen: -1}
	b := open(t, o)
	records := brokertest.Records("", 1, total)
	for i := range records {
		records[i].Node = []string{"a", "b", "c"}[i%3]
	}
	brokertest.PublishThroughDeaths(t, b, records, offer, func() {
		s.Kill(t)
		s.Start(t)
	})
	for _, node := range []string{"a", "b", "c"} {
		require.Equal(t, idsOf(node, records), ids(t, o, node))
	}
	stats := b.Stats()
	t.Logf("%+v", stats)
	require.Equal(t, uint64(total), stats.Published)
	require.GreaterOrEqual(t, stats.Connects, uint64(3), "it was killed")
}

// TestLazy: a server that comes later is waited for.
func TestLazy(t *testing.T) {
	s := redistest.New(t)
	o := redisstream.Options{URL: s.URL()}
	_, err := redisstream.Open(t.Context(), o)
	require.ErrorContains(t, err, s.URL())
	o.Lazy = true
	b := open(t, o)
	require.Zero(t, b.Stats().Connects)
	for range 5 {
		n, err := b.Publish(t.Context(), brokertest.Records("a", 1, 1))
		require.Zero(t, n)
		require.ErrorContains(t, err, "refused")
	}
	s.Start(t)
	publish(t, b, brokertest.Records("a", 1, 1))
	require.Len(t, ids(t, o, "a"), 1)
}
