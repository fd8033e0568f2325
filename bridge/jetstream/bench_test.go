package jetstream_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

const benchBatch = 512

func benchRecords() []bridge.Record {
	records := brokertest.Records("pbx1", 1, benchBatch)
	for i := range records {
		records[i].Instance = "0123456789abcdef"
		records[i].Payload = make([]byte, 500)
	}
	return records
}

// BenchmarkPublish is of batches of 512 records of 500 bytes; "library" publishes
// the same bytes and headers without the bridge.
func BenchmarkPublish(b *testing.B) {
	for _, where := range []string{"in process", "loopback"} {
		options := func(b *testing.B) jetstream.Options {
			if where == "in process" {
				return jetstream.Options{Server: here(b)}
			}
			c := natstest.New(b, "")
			c.Start(b)
			return jetstream.Options{URL: c.URL()}
		}
		b.Run(where+"/bridge", func(b *testing.B) {
			broker := open(b, options(b))
			records := benchRecords()
			seq := uint64(0)
			b.SetBytes(benchBatch * 500)
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					seq++
					records[i].Seq = seq
				}
				n, err := broker.Publish(context.Background(), records)
				if n != benchBatch || err != nil {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(benchBatch*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
		b.Run(where+"/library", func(b *testing.B) {
			o := options(b)
			open(b, o) // makes the stream
			c := client(b, o)
			records := benchRecords()
			seq := uint64(0)
			b.SetBytes(benchBatch * 500)
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					seq++
					r := &records[i]
					r.Seq = seq
					_, err := c.PublishMsgAsync(&nats.Msg{Subject: "ami.events.pbx1.Newchannel", Data: r.Payload, Header: nats.Header{
						js.MsgIDHeader:           {r.ID()},
						jetstream.HeaderNode:     {r.Node},
						jetstream.HeaderInstance: {r.Instance},
						jetstream.HeaderEpoch:    {strconv.FormatUint(r.Epoch, 10)},
						jetstream.HeaderSeq:      {strconv.FormatUint(r.Seq, 10)},
						jetstream.HeaderKind:     {r.Kind.String()},
						jetstream.HeaderTime:     {r.Time.UTC().Format(time.RFC3339Nano)},
					}})
					require.NoError(b, err)
				}
				<-c.PublishAsyncComplete()
			}
			b.ReportMetric(benchBatch*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
