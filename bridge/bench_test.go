package bridge_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// benchEvents is how many events an operation of the benchmarks is.
const benchEvents = 50_000

// A counting broker tells how many records were confirmed.
type counting struct {
	bridge.Broker
	stored atomic.Int64
	more   chan struct{} // one slot
}

func (c *counting) Publish(ctx context.Context, records []bridge.Record) (int, error) {
	n, err := c.Broker.Publish(ctx, records)
	c.stored.Add(int64(n))
	select {
	case c.more <- struct{}{}:
	default: // told already
	}
	return n, err
}

func (c *counting) await(n int) {
	for c.stored.Load() < int64(n) {
		<-c.more
	}
}

// flooding starts a bridge of one node to a broker. flood has the node send n
// events and waits until all are confirmed; stop ends the bridge.
func flooding(b *testing.B, to bridge.Broker) (flood func(n int), stop func()) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger(), amitest.WithWriteTimeout(time.Minute), amitest.WithEventRetention(time.Hour))
	cl, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}, ami.WithEventQueue(1_000_000)) // nothing may be lost, however busy the processor
	require.NoError(b, err)
	stored := &counting{Broker: to, more: make(chan struct{}, 1)}
	br, err := bridge.New(cl, stored, bridge.Options{Dir: b.TempDir(), Instance: "bench", Buffer: 1_000_000})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- br.Run(ctx) }()
	require.NoError(b, cl.Ready(ctx, 0))
	all := 5 // what comes of the login
	stored.await(all)
	flood = func(n int) {
		require.NoError(b, srv.Flood(ctx, 0, n))
		all += n
		stored.await(all)
	}
	return flood, func() {
		cancel()
		require.NoError(b, <-done)
		srv.Close()
	}
}

// BenchmarkBridge is the whole way: a socket of a fake Asterisk, the cluster, the
// spool, the broker's confirmation.
func BenchmarkBridge(b *testing.B) {
	b.Run("JetStream", func(b *testing.B) { benchmarkBridge(b, broker(b, serve(b).URL())) })
	b.Run("Redis", func(b *testing.B) {
		prefix := "test:" + rand.Text()
		benchmarkBridge(b, redisBroker(b, redistest.System(b, prefix), prefix))
	})
}

func benchmarkBridge(b *testing.B, to bridge.Broker) {
	flood, stop := flooding(b, to)
	defer stop()
	n := 0
	for b.Loop() {
		flood(benchEvents)
		n += benchEvents
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkPublishAlone publishes the very messages that the bridge has published,
// but for their identifiers, with the client of the broker alone.
func BenchmarkPublishAlone(b *testing.B) {
	b.Run("JetStream", publishToJetStream)
	b.Run("Redis", publishToRedis)
}

// publishToRedis does it in pipelines of as many as the bridge has in a batch.
func publishToRedis(b *testing.B) {
	prefix := "test:" + rand.Text()
	url := redistest.System(b, prefix)
	flood, stop := flooding(b, redisBroker(b, url, prefix))
	flood(benchEvents)
	stop()
	c, stream := redistest.Client(b, url), prefix+":events:pbx1"
	entries, err := c.XRevRangeN(b.Context(), stream, "+", "-", benchEvents).Result()
	require.NoError(b, err)
	require.Len(b, entries, benchEvents)
	n := 0
	for b.Loop() {
		n++
		for batch := range slices.Chunk(entries, 500) {
			p := c.Pipeline()
			for i, e := range batch {
				e.Values["id"] = fmt.Sprintf("bench-abcdefgh%04d.1/pbx1/1/%d", n, i)
				p.XAdd(b.Context(), &redis.XAddArgs{Stream: stream, MaxLen: redisstream.DefaultMaxLen, Approx: true, Values: e.Values})
			}
			_, err := p.Exec(b.Context())
			require.NoError(b, err)
		}
	}
	b.ReportMetric(float64(n*len(entries))/b.Elapsed().Seconds(), "events/s")
}

func redisBroker(b *testing.B, url, prefix string) *redisstream.Broker {
	r, err := redisstream.Open(b.Context(), redisstream.Options{URL: url, Prefix: prefix})
	require.NoError(b, err)
	return r
}

// publishToJetStream does it as the users of nats.go do, asynchronously, with as
// many confirmations outstanding as the bridge has records in a batch.
func publishToJetStream(b *testing.B) {
	s := serve(b)
	nc, err := nats.Connect(s.URL())
	require.NoError(b, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	require.NoError(b, err)
	flood, stop := flooding(b, broker(b, s.URL()))
	flood(benchEvents)
	stop()
	messages := published(b, js)
	n := 0
	for b.Loop() {
		n++
		for i, m := range messages {
			m.Header[nats.MsgIdHdr][0] = fmt.Sprintf("bench-abcdefgh%04d.1/pbx1/1/%d", n, i)
			_, err := js.PublishMsgAsync(m)
			require.NoError(b, err)
		}
		<-js.PublishAsyncComplete()
	}
	b.ReportMetric(float64(n*len(messages))/b.Elapsed().Seconds(), "events/s")
}

// published returns the events in the stream as they were published.
func published(b *testing.B, js jetstream.JetStream) []*nats.Msg {
	c, err := js.OrderedConsumer(b.Context(), "AMI", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.pbx1.UserEvent"}})
	require.NoError(b, err)
	got, err := c.Fetch(benchEvents)
	require.NoError(b, err)
	var messages []*nats.Msg
	for m := range got.Messages() {
		messages = append(messages, &nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	}
	require.NoError(b, got.Error())
	require.Len(b, messages, benchEvents)
	return messages
}
