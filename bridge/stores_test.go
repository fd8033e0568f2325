package bridge_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/embedded"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/internal/redistest"
	amijs "github.com/apn/ami/bridge/jetstream"
)

// natsStore is a server of NATS in a process of its own.
type natsStore struct{ server *natstest.Server }

func newJetStream(t *testing.T) store { return &natsStore{natstest.New(t, "")} }

func (s *natsStore) serve(t *testing.T) string {
	t.Helper()
	s.server.Start(t)
	return s.server.URL()
}

func (s *natsStore) kill(t *testing.T) {
	t.Helper()
	s.server.Kill(t)
}

func (s *natsStore) count(t *testing.T) int {
	nc, err := nats.Connect(s.server.URL())
	if err != nil {
		return 0
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(soon))
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "AMI")
	if err != nil {
		return 0
	}
	return int(stream.CachedInfo().State.Msgs)
}

func (s *natsStore) read(t *testing.T, records int, each func(payload []byte)) {
	t.Helper()
	_, js := client(t, s.server.URL())
	stream, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	messages, err := consumer.Messages()
	require.NoError(t, err)
	defer messages.Stop()
	for range records {
		m, err := messages.Next()
		require.NoError(t, err)
		each(m.Data())
	}
}

// redisStore is a server of Redis in a process of its own.
type redisStore struct{ server *redistest.Server }

func newRedis(t *testing.T) store { return &redisStore{redistest.New(t)} }

func (s *redisStore) serve(t *testing.T) string {
	t.Helper()
	s.server.Start(t)
	return s.server.URL()
}

func (s *redisStore) kill(t *testing.T) {
	t.Helper()
	s.server.Kill(t)
}

// streams are the keys of the nodes there are.
func (s *redisStore) streams(t *testing.T, c *redis.Client) (keys []string) {
	nodes, err := c.HKeys(t.Context(), "ami:states").Result()
	require.NoError(t, err)
	for _, node := range nodes {
		keys = append(keys, "ami:events:"+node)
	}
	return keys
}

func (s *redisStore) count(t *testing.T) int {
	c := s.server.Client(t)
	defer c.Close()
	if c.Ping(t.Context()).Err() != nil {
		return 0
	}
	n := 0
	for _, key := range s.streams(t, c) {
		n += int(c.XLen(t.Context(), key).Val())
	}
	return n
}

// read is a consumer of a group, as docs/bridge.md has it.
func (s *redisStore) read(t *testing.T, records int, each func(payload []byte)) {
	t.Helper()
	c := s.server.Client(t)
	defer c.Close()
	keys := s.streams(t, c)
	group := &redis.XReadGroupArgs{Group: "cdr", Consumer: "c1", Count: 1000, Block: -1, Streams: keys}
	for _, key := range keys {
		require.NoError(t, c.XGroupCreate(t.Context(), key, group.Group, "0").Err())
		group.Streams = append(group.Streams, ">")
	}
	for read := 0; read < records; {
		streams, err := c.XReadGroup(t.Context(), group).Result()
		require.NoError(t, err)
		for _, stream := range streams {
			var done []string
			for _, m := range stream.Messages {
				each([]byte(m.Values["data"].(string)))
				done = append(done, m.ID)
			}
			n, err := c.XAck(t.Context(), stream.Stream, group.Group, done...).Result()
			require.NoError(t, err)
			read += int(n)
		}
	}
	_, err := c.XReadGroup(t.Context(), group).Result()
	require.ErrorIs(t, err, redis.Nil, "there are more")
}

// client is one that consumes.
func client(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(soon))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(soon))
	require.NoError(t, err)
	return nc, js
}

// serve starts a NATS server.
func serve(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Port: embedded.AnyPort})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// broker makes one on a server.
func broker(t testing.TB, url string) *amijs.Broker {
	t.Helper()
	b, err := amijs.Open(t.Context(), amijs.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}
