package bridge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
	amijs "github.com/apn/ami/bridge/jetstream"
)

// benchEvents is how many events an operation of the benchmarks is.
const benchEvents = 50_000

// A counting broker tells how many records were confirmed.
type counting struct {
	*amijs.Broker
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
// spool, JetStream's confirmation.
func BenchmarkBridge(b *testing.B) {
	s := serve(b)
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger(), amitest.WithWriteTimeout(time.Minute), amitest.WithEventRetention(time.Hour))
	defer srv.Close()
	cl, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}, ami.WithEventQueue(1_000_000)) // nothing may be lost, however busy the processor
	require.NoError(b, err)
	stored := &counting{Broker: broker(b, s.URL()), more: make(chan struct{}, 1)}
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

// BenchmarkPublishAlone publishes payloads of the same size with nats.go alone: as
// its users do, asynchronously, with as many confirmations outstanding as the
// bridge has records in a batch.
func BenchmarkPublishAlone(b *testing.B) {
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
	payload := make([]byte, 800)
	for i := range payload {
		payload[i] = "abcdefghij"[i%10]
	}
	n := 0
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
