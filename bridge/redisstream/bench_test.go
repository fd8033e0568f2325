package redisstream_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
)

const benchBatch = 512

func benchRecords() []bridge.Record {
	records := as("0123456789abcdef", brokertest.Records("pbx1", 1, benchBatch))
	for i := range records {
		records[i].Payload = make([]byte, 500)
	}
	return records
}

// BenchmarkPublish is of batches of 512 records of 500 bytes; "library" publishes
// the same bytes and fields without the bridge, in pipelines of as many.
func BenchmarkPublish(b *testing.B) {
	for _, nodes := range []int{1, 80} {
		name := strconv.Itoa(nodes) + " nodes/"
		spread := func(records []bridge.Record) []bridge.Record {
			for i := range records {
				records[i].Node = "pbx" + strconv.Itoa(i%nodes)
			}
			return records
		}
		b.Run(name+"bridge", func(b *testing.B) {
			broker := open(b, ofSystem(b))
			records := spread(benchRecords())
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
		b.Run(name+"library", func(b *testing.B) {
			o := ofSystem(b)
			c := redistest.Client(b, o.URL)
			records := spread(benchRecords())
			seq := uint64(0)
			b.SetBytes(benchBatch * 500)
			b.ReportAllocs()
			for b.Loop() {
				p := c.Pipeline()
				for i := range records {
					seq++
					r := &records[i]
					r.Seq = seq
					p.XAdd(context.Background(), &redis.XAddArgs{Stream: o.Prefix + ":events:" + r.Node, MaxLen: 50_000, Approx: true, Values: []any{
						"id", r.ID(), "node", r.Node, "epoch", r.Epoch, "seq", r.Seq, "kind", r.Kind.String(), "name", r.Name,
						"time", r.Time.UTC().Format(time.RFC3339Nano), "instance", r.Instance, "data", r.Payload,
					}})
				}
				if _, err := p.Exec(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(benchBatch*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
