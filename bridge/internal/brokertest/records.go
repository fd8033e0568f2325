// Package brokertest has what the tests of all brokers need.
package brokertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
)

// Records makes n records of a node, the first of them with Seq from.
func Records(node string, from, n int) []bridge.Record {
	records := make([]bridge.Record, n)
	for i := range records {
		seq := uint64(from + i)
		records[i] = bridge.Record{
			Instance: "i1", Node: node, Epoch: 1, Seq: seq, Kind: bridge.KindEvent, Name: "Newchannel",
			Time: time.Unix(1700000000, int64(seq)), Payload: fmt.Appendf(nil, `{"n":%d}`, seq),
		}
	}
	return records
}

// PublishThroughDeaths publishes records in batches, as the bridge does, and calls
// die twice meanwhile, which kills the server and starts it again. There is always
// something left that is published after that.
func PublishThroughDeaths(t *testing.T, b bridge.Broker, records []bridge.Record, batch int, die func()) {
	t.Helper()
	var done, most atomic.Int64
	most.Store(int64(len(records) * 2 / 5))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; n < len(records) && ctx.Err() == nil; {
			end := min(n+batch, int(most.Load()))
			var m int
			var err error
			if n < end {
				m, err = b.Publish(ctx, records[n:end])
			}
			n += m
			done.Store(int64(n))
			if err != nil || m == 0 {
				select { // as the bridge waits
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}()
	for _, death := range []struct{ at, next int }{
		{len(records) / 5, len(records) * 4 / 5}, {len(records) / 2, len(records)},
	} {
		for done.Load() < int64(death.at) { // in the middle of a batch, most likely
			select {
			case <-ctx.Done():
				t.Fatal("too slow")
			case <-time.After(time.Millisecond):
			}
		}
		die()
		most.Store(int64(death.next))
	}
	<-ended
	require.NoError(t, ctx.Err())
}
