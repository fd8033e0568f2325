package redisstream_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// TestEntry: what of a record is stored, and where.
func TestEntry(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	publish(t, b, []bridge.Record{{
		Instance: "host-1.2", Node: "pbx1@a/b", Epoch: 3, Seq: 42, Kind: bridge.KindEvent, Name: "Hangup",
		Time: time.Date(2026, 1, 2, 4, 4, 5, 678_000_000, time.FixedZone("", 3600)), Payload: []byte("{\"a\":\"\x00\r\n\"}"),
	}})
	all := stored(t, o, "pbx1@a/b")
	require.Len(t, all, 1)
	require.Equal(t, map[string]any{
		"id": "host-1.2/pbx1@a/b/3/42", "node": "pbx1@a/b", "epoch": "3", "seq": "42", "kind": "event", "name": "Hangup",
		"time": "2026-01-02T03:04:05.678Z", "instance": "host-1.2", "data": "{\"a\":\"\x00\r\n\"}",
	}, all[0].Values)
}

// TestOrder: batches of all sizes, of many nodes and holds, are stored in order.
func TestOrder(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	seqs := make(map[string]uint64)
	var all []bridge.Record
	for _, size := range []int{1, 2, 511, 512, 513, 4000} {
		batch := brokertest.Records("", 0, size)
		for i := range batch {
			r := &batch[i]
			r.Node, r.Instance = "n"+strconv.Itoa(i%7), "i"+strconv.Itoa(len(all)/1000)
			seqs[r.Instance+r.Node]++
			r.Seq = seqs[r.Instance+r.Node]
		}
		publish(t, b, batch)
		all = append(all, batch...)
	}
	for i := range 7 {
		node := "n" + strconv.Itoa(i)
		require.Equal(t, idsOf(node, all), ids(t, o, node))
	}
	require.Equal(t, redisstream.Stats{Published: uint64(len(all)), Connects: 1}, b.Stats())
}

// TestDuplicates: whatever is offered again is not stored again.
func TestDuplicates(t *testing.T) {
	const huge = math.MaxUint64 - 2
	for _, tc := range []struct {
		name   string
		offers [][]bridge.Record
		want   []bridge.Record
	}{
		{"all of it", [][]bridge.Record{brokertest.Records("a", 1, 600), brokertest.Records("a", 1, 600)}, brokertest.Records("a", 1, 600)},
		{"its end and more", [][]bridge.Record{brokertest.Records("a", 1, 10), brokertest.Records("a", 8, 10)}, brokertest.Records("a", 1, 17)},
		{"twice in one", [][]bridge.Record{append(brokertest.Records("a", 1, 3), brokertest.Records("a", 2, 3)...)}, brokertest.Records("a", 1, 4)},
		{"a hole stays", [][]bridge.Record{brokertest.Records("a", 1, 3), brokertest.Records("a", 9, 3), brokertest.Records("a", 9, 4)}, append(brokertest.Records("a", 1, 3), brokertest.Records("a", 9, 4)...)},
		{
			"two holds",
			[][]bridge.Record{append(brokertest.Records("a", 7, 3), as("i2", brokertest.Records("a", 1, 3))...), append(brokertest.Records("a", 8, 2), as("i2", brokertest.Records("a", 1, 4))...)},
			append(brokertest.Records("a", 7, 3), as("i2", brokertest.Records("a", 1, 4))...),
		},
		{"9 and 10", [][]bridge.Record{brokertest.Records("a", 9, 1), brokertest.Records("a", 10, 1), brokertest.Records("a", 9, 3)}, brokertest.Records("a", 9, 3)},
		{"beyond what a float holds", [][]bridge.Record{at(1<<53, 3), at(1<<53+1, 3), at(huge, 2), at(huge+1, 2)}, slices.Concat(at(1<<53, 4), at(huge, 3))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ofSystem(t)
			b := open(t, o)
			n := 0
			for _, offer := range tc.offers {
				publish(t, b, offer)
				n += len(offer)
			}
			require.Equal(t, idsOf("a", tc.want), ids(t, o, "a"))
			require.Equal(t, uint64(n), b.Stats().Published)
			require.Equal(t, uint64(n-len(tc.want)), b.Stats().Duplicates)
			// Another process knows them as well.
			again := open(t, o)
			publish(t, again, tc.offers[len(tc.offers)-1])
			require.Equal(t, idsOf("a", tc.want), ids(t, o, "a"))
		})
	}
}

// at makes n records of a, the first of them with Seq from.
func at(from uint64, n int) []bridge.Record {
	records := brokertest.Records("a", 1, n)
	for i := range records {
		records[i].Seq = from + uint64(i)
	}
	return records
}

// TestHoldsKept: the server knows the latest 10,000 holds, and forgets those
// before.
func TestHoldsKept(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	const kept = 10_000
	records := brokertest.Records("a", 1, kept+3)
	for i := range records {
		records[i].Instance, records[i].Seq = "i"+strconv.Itoa(i), 1
	}
	publish(t, b, records)
	c := redistest.Client(t, o.URL)
	n, err := c.HLen(t.Context(), o.Prefix+":last").Result()
	require.NoError(t, err)
	require.Equal(t, int64(2+2*kept), n)
	publish(t, b, records[3:])
	require.Equal(t, uint64(kept), b.Stats().Duplicates)
	publish(t, b, records[:1])
	require.Equal(t, uint64(kept), b.Stats().Duplicates)
}

func TestMaxLen(t *testing.T) {
	const n = 5000
	for _, tc := range []struct {
		name        string
		most        int64
		least, last int
	}{
		{"bounded", 1000, 1000, 1200},
		{"without bound", -1, n, n},
		{"default", 0, n, n},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ofSystem(t)
			o.MaxLen = tc.most
			b := open(t, o)
			records := brokertest.Records("a", 1, n)
			publish(t, b, records)
			got := ids(t, o, "a")
			require.GreaterOrEqual(t, len(got), tc.least)
			require.LessOrEqual(t, len(got), tc.last)
			require.Equal(t, idsOf("a", records[n-len(got):]), got)
		})
	}
}

// TestRefused: what is before a record that is refused is stored, and nothing
// behind it.
func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(r *bridge.Record){
		"too large": func(r *bridge.Record) { r.Payload = make([]byte, 101) },
		"no seq":    func(r *bridge.Record) { r.Seq, r.Kind = 0, bridge.KindTakeover },
	} {
		for _, place := range []int{0, 5, 600} {
			t.Run(name+strconv.Itoa(place), func(t *testing.T) {
				o := ofSystem(t)
				o.MaxRecord = 100
				b := open(t, o)
				records := brokertest.Records("a", 1, 700)
				spoil(&records[place])
				n, err := b.Publish(t.Context(), records)
				require.Equal(t, place, n)
				var refused *bridge.RefusedError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, records[place].ID(), refused.ID)
				require.Equal(t, "a", refused.Node)
				var large *redisstream.TooLargeError
				if name == "too large" {
					require.ErrorAs(t, err, &large)
					require.Equal(t, redisstream.TooLargeError{Bytes: 101, Max: 100}, *large)
				}
				require.Equal(t, idsOf("a", records[:place]), ids(t, o, "a"))
				publish(t, b, records[place+1:])
				require.Equal(t, idsOf("a", records[:place], records[place+1:]), ids(t, o, "a"))
				require.Equal(t, uint64(1), b.Stats().Refused)
			})
		}
	}
}

// TestLargest: records as large as a spool holds, in one offer.
func TestLargest(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	records := brokertest.Records("a", 1, 3)
	records[1].Payload = make([]byte, redisstream.DefaultMaxRecord)
	publish(t, b, records)
	all := stored(t, o, "a")
	require.Len(t, all, 3)
	require.Len(t, all[1].Values["data"], redisstream.DefaultMaxRecord)
}

func TestState(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	s := bridge.NodeState{Node: "pbx1", Instance: "i1", State: "ready", Epoch: 2, Since: time.Now().UTC(), Version: "9.0.0"}
	require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: "pbx1", State: "disconnected"}))
	require.NoError(t, b.PutState(t.Context(), s))
	c := redistest.Client(t, o.URL)
	all, err := c.HGetAll(t.Context(), o.Prefix+":states").Result()
	require.NoError(t, err)
	require.Len(t, all, 1)
	var got bridge.NodeState
	require.NoError(t, json.Unmarshal([]byte(all["pbx1"]), &got))
	require.Equal(t, s, got)
}

// TestClosed: nothing goes on behind Close.
func TestClosed(t *testing.T) {
	b := open(t, ofSystem(t))
	publish(t, b, brokertest.Records("a", 1, 1))
	require.NoError(t, b.Close())
	n, err := b.Publish(context.Background(), brokertest.Records("a", 2, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, redisstream.ErrClosed)
	require.ErrorIs(t, b.PutState(context.Background(), bridge.NodeState{Node: "a"}), redisstream.ErrClosed)
	require.NoError(t, b.Close())
}
