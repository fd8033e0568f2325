package bridge_test

import (
	"context"
	"crypto/rand"
	"fmt"
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

// BenchmarkBridge is the whole way: a socket of a fake Asterisk, the cluster, the
// spool, the broker's confirmation.
func BenchmarkBridge(b *testing.B) {
	b.Run("JetStream", func(b *testing.B) { benchmarkBridge(b, broker(b, serve(b).URL())) })
	b.Run("Redis", func(b *testing.B) {
		prefix := "test:" + rand.Text()
		r, err := redisstream.Open(b.Context(), redisstream.Options{URL: redistest.System(b, prefix), Prefix: prefix})
		require.NoError(b, err)
		benchmarkBridge(b, r)
	})
}

func benchmarkBridge(b *testing.B, to bridge.Broker) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger(), amitest.WithWriteTimeout(time.Minute), amitest.WithEventRetention(time.Hour))
	defer srv.Close()
	cl, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}, ami.WithEventQueue(1_000_000)) // nothing may be lost, however busy the processor
	require.NoError(b, err)
	stored := &counting{Broker: to, more: make(chan struct{}, 1)}
	br, err := bridge.New(cl, stored, bridge.Options{Dir: b.TempDir(), Instance: "bench", Buffer: 1_000_000})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- br.Run(ctx) }()
	require.NoError(b, cl.Ready(ctx, 0))
	stored.await(5)
	n := 0
	for b.Loop() {
		require.NoError(b, srv.Flood(ctx, 0, benchEvents))
		n += benchEvents
		stored.await(5 + n)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	cancel()
	require.NoError(b, <-done)
}

// BenchmarkPublishAlone publishes what the bridge does with the client of the
// broker alone.
func BenchmarkPublishAlone(b *testing.B) {
	b.Run("JetStream", publishToJetStream)
	b.Run("Redis", publishToRedis)
}

// benchPayload is as large as what the bridge makes of an event of the flood.
func benchPayload() []byte {
	payload := make([]byte, 800)
	for i := range payload {
		payload[i] = "abcdefghij"[i%10]
	}
	return payload
}

// publishToRedis does it in pipelines of as many as the bridge has in a batch.
func publishToRedis(b *testing.B) {
	prefix := "test:" + rand.Text()
	c := redistest.Client(b, redistest.System(b, prefix))
	payload, n := benchPayload(), 0
	for b.Loop() {
		for range benchEvents / 500 {
			p := c.Pipeline()
			for range 500 {
				n++
				p.XAdd(b.Context(), &redis.XAddArgs{Stream: prefix + ":events:pbx1", MaxLen: redisstream.DefaultMaxLen, Approx: true, Values: []any{
					"id", fmt.Sprintf("bench-abcdefgh1234.1/pbx1/1/%d", n), "node", "pbx1", "epoch", 1, "seq", n, "kind", "event", "name", "UserEvent",
					"time", "2026-01-02T03:04:05.678901234Z", "instance", "bench-abcdefgh1234.1", "data", payload,
				}})
			}
			_, err := p.Exec(b.Context())
			require.NoError(b, err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
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
	_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: "AMI", Subjects: []string{"ami.events.>"}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		Duplicates: 2 * time.Minute, MaxAge: 24 * time.Hour, MaxBytes: 8 << 30, AllowDirect: true, Compression: jetstream.S2Compression,
	})
	require.NoError(b, err)
	payload, n := benchPayload(), 0
	for b.Loop() {
		for range benchEvents {
			n++
			m := &nats.Msg{Subject: "ami.events.pbx1.UserEvent", Data: payload, Header: nats.Header{nats.MsgIdHdr: {fmt.Sprintf("bench-abcdefgh1234.1/pbx1/1/%d", n)}}}
			_, err := js.PublishMsgAsync(m)
			require.NoError(b, err)
		}
		<-js.PublishAsyncComplete()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
