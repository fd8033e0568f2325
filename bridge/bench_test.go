package bridge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
)

// benchEvents is how many events an operation of the benchmarks is.
const benchEvents = 50_000

// BenchmarkBridge is the whole way: a socket of a fake Asterisk, the cluster, the
// spool, JetStream's confirmation.
func BenchmarkBridge(b *testing.B) {
	s := serve(b)
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger(), amitest.WithWriteTimeout(time.Minute), amitest.WithEventRetention(time.Hour))
	defer srv.Close()
	cl, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}}, ami.WithEventQueue(1_000_000)) // nothing may be lost, however busy the processor
	require.NoError(b, err)
	br, err := bridge.New(cl, broker(b, s.URL()), bridge.Options{Dir: b.TempDir(), Instance: "bench", Buffer: 1_000_000})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- br.Run(ctx) }()
	require.NoError(b, cl.Ready(ctx, 0))
	_, js := client(b, s.URL())
	await := func(n int) {
		for {
			stream, err := js.Stream(ctx, "AMI")
			if err == nil && int(stream.CachedInfo().State.Msgs) >= n {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	await(5)
	n := 0
	for b.Loop() {
		require.NoError(b, srv.Flood(ctx, 0, benchEvents))
		n += benchEvents
		await(n)
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
