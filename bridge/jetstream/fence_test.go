package jetstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/jetstream"
)

// TestFence: who has the node publishes, and the one before does not.
func TestFence(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	a, b := open(t, o), open(t, o)
	began := time.Unix(1700000000, 0)
	first, err := a.Fence(t.Context(), bridge.Takeover{Node: "n.1", Instance: "A", Time: began})
	require.NoError(t, err)
	records := withToken(brokertest.Records("n.1", 1, 2000), first)
	n, err := a.Publish(t.Context(), records[:1500])
	require.NoError(t, err)
	require.Equal(t, 1500, n)
	again, err := a.Fence(t.Context(), bridge.Takeover{Node: "n.1", Instance: "A", Time: began})
	require.NoError(t, err)
	require.Equal(t, first, again, "as after a lost answer")
	_, err = b.Fence(t.Context(), bridge.Takeover{Node: "n.2", Instance: "B", Time: began})
	require.NoError(t, err, "another node is another matter")

	last := records[1499]
	second, err := b.Fence(t.Context(), bridge.Takeover{Node: "n.1", Instance: "B", Time: last.Time.Add(1500 * time.Millisecond)})
	require.NoError(t, err)
	require.Greater(t, second, first)
	n, err = a.Publish(t.Context(), records[1500:])
	require.Zero(t, n)
	gone, ok := errors.AsType[*bridge.RefusedError](err)
	require.True(t, ok, err)
	require.ErrorIs(t, err, bridge.ErrFenced)
	require.Equal(t, records[1500].ID(), gone.ID)
	n, err = b.Publish(t.Context(), withToken(brokertest.Records("n.1", 2001, 10), second))
	require.NoError(t, err)
	require.Equal(t, 10, n)

	all := stored(t, o)
	require.Len(t, all, 1500+3+10)
	m := all[1502]
	require.Equal(t, "ami.events.n=2E1.Takeover", m.Subject)
	require.Equal(t, second, m.Sequence)
	require.Equal(t, "takeover", m.Header.Get(jetstream.HeaderKind))
	require.JSONEq(t, fmt.Sprintf(`{"node":"n.1","instance":"B","kind":"takeover","time":%q,"gap":{"from_id":"i1/n.1/1/1500",
		"from_time":%q,"last_instance":"i1","last_epoch":1,"last_seq":1500,"length_ms":1500}}`,
		last.Time.Add(1500*time.Millisecond).Format(time.RFC3339Nano), last.Time.UTC().Format(time.RFC3339Nano)), string(m.Data))
	var p map[string]any
	require.NoError(t, json.Unmarshal(all[0].Data, &p))
	require.NotContains(t, p, "gap", "there was nothing before")

	_, err = a.Publish(t.Context(), []bridge.Record{{Node: "n.1", Kind: bridge.KindTakeover}})
	_, ok = errors.AsType[*bridge.RefusedError](err)
	require.True(t, ok, err)
}

// TestFenceRetention: if the stream has dropped the takeover, the holder is
// refused, takes the node over again, and goes on.
func TestFenceRetention(t *testing.T) {
	o := jetstream.Options{Server: here(t), MaxBytes: 64 << 10}
	b := open(t, o)
	hold := bridge.Takeover{Node: "a", Instance: "A", Time: time.Now()}
	token, err := b.Fence(t.Context(), hold)
	require.NoError(t, err)
	records := brokertest.Records("a", 1, 1000)
	n, err := b.Publish(t.Context(), withToken(records, token))
	require.ErrorIs(t, err, bridge.ErrFenced)
	require.Positive(t, n)
	again, err := b.Fence(t.Context(), hold)
	require.NoError(t, err)
	require.Greater(t, again, token)
	m, err := b.Publish(t.Context(), withToken(records[n:n+10], again))
	require.NoError(t, err)
	require.Equal(t, 10, m)
	_, err = b.Publish(t.Context(), withToken(records[n+10:n+20], token))
	require.ErrorIs(t, err, bridge.ErrFenced)
}

// TestFenceOldServer: a server that does not know the comparison is not trusted
// with it, and takes records as any other.
func TestFenceOldServer(t *testing.T) {
	o := ofSystem(t)
	b := open(t, o)
	_, err := b.Fence(t.Context(), bridge.Takeover{Node: "a", Instance: "A"})
	old, ok := errors.AsType[*jetstream.UnsupportedError](err)
	if !ok && err == nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the system's server is new: nothing tests an old one")
		}
		t.Skip("the system's server is new")
	}
	require.True(t, ok, err)
	require.Equal(t, "fencing", old.Feature)
	require.Empty(t, stored(t, o))

	// An old server that keeps the stream while a new one is connected to.
	for range 50 { // headers go out in any order, and the answer depends on it
		err = b.ProveFence(t.Context(), "a", 7)
		_, ok = errors.AsType[*jetstream.UnsupportedError](err)
		require.True(t, ok, err)
	}
	require.Empty(t, stored(t, o))
}

// fight lets two brokers take a node from each other while both publish, and
// checks every record that got through: its token was the newest where it stands.
func fight(t *testing.T, options [2]jetstream.Options, rounds, batch int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[string]bool{} // records confirmed
	for side, o := range options {
		b := open(t, o)
		wg.Go(func() {
			for round := range rounds {
				instance := fmt.Sprintf("%c%d", 'A'+side, round)
				token, err := b.Fence(t.Context(), bridge.Takeover{Node: "a", Instance: instance, Time: time.Now()})
				if err != nil {
					if !errors.Is(err, bridge.ErrFenced) {
						t.Errorf("fence: %v", err)
					}
					continue
				}
				for seq := 1; ; {
					records := withToken(brokertest.Records("a", seq, batch), token)
					for i := range records {
						records[i].Instance = instance
						records[i].Payload = strconv.AppendUint(nil, token, 10)
					}
					n, err := b.Publish(t.Context(), records)
					mu.Lock()
					for i := range records[:n] {
						won[records[i].ID()] = true
					}
					mu.Unlock()
					if errors.Is(err, bridge.ErrFenced) || seq > 4*batch {
						break
					}
					seq += n
				}
			}
		})
	}
	wg.Wait()
	newest := map[string]uint64{}
	number, takeovers := 0, 0
	for _, m := range stored(t, options[0]) {
		node := m.Header.Get(jetstream.HeaderNode)
		if strings.HasSuffix(m.Subject, ".Takeover") {
			require.Greater(t, m.Sequence, newest[node])
			newest[node] = m.Sequence
			takeovers++
			continue
		}
		token, err := strconv.ParseUint(string(m.Data), 10, 64)
		require.NoError(t, err)
		require.Equal(t, newest[node], token, "%s stands behind the takeover of another", m.Header.Get(js.MsgIDHeader))
		delete(won, m.Header.Get(js.MsgIDHeader))
		number++
	}
	require.Empty(t, won, "confirmed and not stored")
	require.Positive(t, number)
	require.Greater(t, takeovers, 2)
	t.Logf("%d records, %d takeovers", number, takeovers)
}

func TestFight(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	fight(t, [2]jetstream.Options{o, o}, 30, 100)
}

// TestReplicated: with replicas, where the server cannot compare two records of a
// node at once, nothing is refused that should not be.
func TestReplicated(t *testing.T) {
	servers := cluster(t)
	o := jetstream.Options{Server: servers[0], Replicas: 3}
	other := jetstream.Options{Server: servers[1], Replicas: 3}
	b := open(t, o)
	records := brokertest.Records("a", 1, 600)
	n, err := b.Publish(t.Context(), records)
	require.NoError(t, err)
	require.Equal(t, 600, n)

	var mixed []bridge.Record
	for i := range 20 {
		for _, node := range []string{"b", "c", "d"} {
			token, err := b.Fence(t.Context(), bridge.Takeover{Node: node, Instance: "A", Time: time.Now()})
			require.NoError(t, err)
			mixed = append(mixed, withToken(brokertest.Records(node, i+1, 1), token)...)
		}
	}
	n, err = b.Publish(t.Context(), mixed)
	require.NoError(t, err)
	require.Equal(t, len(mixed), n)
	require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: "a", State: "ready"}))
	stats := b.Stats()
	stats.Duplicates = 0 // behind a record that had to be sent again, if the replicas are slow
	require.Equal(t, jetstream.Stats{Published: 660, Connects: 2}, stats)
	require.Len(t, stored(t, o), 663)

	o.Stream, o.Prefix = "FIGHT", "fight"
	other.Stream, other.Prefix = "FIGHT", "fight"
	fight(t, [2]jetstream.Options{o, other}, 5, 20)
}
