package redisstream_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// soon bounds what a test waits for; only a failure takes that long.
const (
	soon = 2 * time.Minute
	tick = 5 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ofSystem returns options for keys of the test's own on the system's server.
func ofSystem(t testing.TB) redisstream.Options {
	t.Helper()
	prefix := "test:" + rand.Text()
	return redisstream.Options{URL: redistest.System(t, prefix), Prefix: prefix}
}

// own starts a server of the test's own.
func own(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	s := redistest.New(t, args...)
	s.Start(t)
	return s
}

func open(t testing.TB, o redisstream.Options) *redisstream.Broker {
	t.Helper()
	b, err := redisstream.Open(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// as makes records be of another instance.
func as(instance string, records []bridge.Record) []bridge.Record {
	for i := range records {
		records[i].Instance = instance
	}
	return records
}

// publish publishes all of the records.
func publish(t testing.TB, b *redisstream.Broker, records []bridge.Record) {
	t.Helper()
	n, err := b.Publish(context.Background(), records)
	require.NoError(t, err)
	require.Equal(t, len(records), n)
}

// stored returns what the stream of a node has, in its order.
func stored(t testing.TB, o redisstream.Options, node string) []redis.XMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	c := redistest.Client(t, o.URL)
	defer c.Close()
	all, err := c.XRange(ctx, prefixOf(o)+":events:"+node, "-", "+").Result()
	require.NoError(t, err)
	return all
}

func prefixOf(o redisstream.Options) string {
	if o.Prefix == "" {
		return redisstream.DefaultPrefix
	}
	return o.Prefix
}

// ids are those of a node that are stored.
func ids(t testing.TB, o redisstream.Options, node string) []string {
	t.Helper()
	s := []string{}
	for _, m := range stored(t, o, node) {
		s = append(s, m.Values["id"].(string))
	}
	return s
}

// idsOf are those of records of a node.
func idsOf(node string, records ...[]bridge.Record) []string {
	s := []string{}
	for _, list := range records {
		for i := range list {
			if list[i].Node == node {
				s = append(s, list[i].ID())
			}
		}
	}
	return s
}
