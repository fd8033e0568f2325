package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge/lease"
)

// leaseTime is the TTL of the leases of bridges that are processes: a busy machine
// does not stop one for so long.
const leaseTime = lease.DefaultTTL

// ready asks a bridge how many nodes it has, and how many of them are ready.
func (s *setup) ready(t *testing.T) (nodes, up int) {
	t.Helper()
	addr, err := os.ReadFile(filepath.Join(s.Dir, "http"))
	if err != nil {
		return -1, -1 // it is not there yet
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(addr)+"/readyz", http.NoBody)
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return -1, -1
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	var a struct {
		Nodes int `json:"nodes"`
		Up    int `json:"nodes_ready"`
	}
	require.NoError(t, json.Unmarshal(text, &a), "%s", text)
	return a.Nodes, a.Up
}

// share waits until each of the bridges has so many nodes that are ready.
func share(t *testing.T, n int, bridges ...*setup) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, b := range bridges {
			if nodes, up := b.ready(t); nodes != n || up != n {
				return false
			}
		}
		return true
	}, soon, 10*time.Millisecond, "%d nodes each", n)
}

// TestKilledHolder: two bridges share six Asterisk servers, three each. One is
// killed: the other has all six when the lease is over and it has connected. The
// one that was killed comes back and gets three again. Who consumes the stream
// sees no record twice, all events but those that came when nobody was connected,
// in order, and a takeover wherever some may be missing.
func TestKilledHolder(t *testing.T) {
	s := &site{store: newJetStream(t), servers: make(map[string]*amitest.Server)}
	s.Nodes = make(map[string]string)
	for i := range 6 {
		srv := asterisk(t)
		key := "pbx" + strconv.Itoa(i+1)
		s.servers[key], s.Nodes[key] = srv, srv.Addr()
	}
	s.revive(t)
	defer s.kill(t)
	a := &setup{Dir: t.TempDir(), URL: s.URL, Nodes: s.Nodes, Instance: "a"}
	b := &setup{Dir: t.TempDir(), URL: s.URL, Nodes: s.Nodes, Instance: "b"}
	first, second := a.start(t), b.start(t)
	share(t, 3, a, b)

	const each = 200
	keys := slices.Collect(maps.Keys(s.servers))
	s.flood(t, 1, 0, each).Wait()
	arrived(t, s.URL, keys, "1", each)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var flooding sync.WaitGroup
	for _, srv := range s.servers { // while nodes move
		flooding.Go(func() { _ = srv.Flood(ctx, 200, 1_000_000, amitest.F("Phase", "2")) })
	}
	killed := time.Now()
	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	share(t, 6, b)
	took := time.Since(killed)
	t.Logf("%v from the death of the one until the other had all", took.Round(time.Millisecond))
	require.Less(t, took, 4*leaseTime, "the lease and a connect, on a busy machine")
	stop()
	flooding.Wait()

	s.flood(t, 3, 0, each).Wait()
	arrived(t, s.URL, keys, "3", each) // what is on the socket when a node moves is lost
	require.NoError(t, os.Remove(filepath.Join(a.Dir, "http")))
	first = a.start(t)
	share(t, 3, a, b)
	s.flood(t, 4, 0, each).Wait()
	arrived(t, s.URL, keys, "4", each)
	for _, c := range []*child{first, second} {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, c.Wait(), c.log.String())
	}
	s.verifyTakeovers(t, each)
}

// verifyTakeovers reads the stream as a consumer that knows records by their ID.
func (s *site) verifyTakeovers(t *testing.T, each int) {
	t.Helper()
	_, js := client(t, s.URL)
	stream, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	messages, err := consumer.Messages()
	require.NoError(t, err)
	defer messages.Stop()

	type place struct{ phase, number int }
	type node struct {
		last     place
		moved    bool   // a takeover came since the last event
		instance string // that holds it
		seq      uint64
		held     [5]string // by whom, at the end of each phase
	}
	nodes, ids, events := make(map[string]*node), make(map[string]bool), make(map[string]int)
	for key := range s.servers {
		nodes[key] = &node{}
	}
	for range stream.CachedInfo().State.Msgs {
		m, err := messages.Next()
		require.NoError(t, err)
		id := m.Headers().Get(jetstream.MsgIDHeader)
		require.False(t, ids[id], "%s comes twice", id)
		ids[id] = true
		var p struct {
			ID, Instance, Node, Kind, Event string
			Seq, Lost                       uint64
			Headers                         map[string]any
			Gap                             struct {
				FromID string `json:"from_id"`
			}
		}
		require.NoError(t, json.Unmarshal(m.Data(), &p))
		n := nodes[p.Node]
		if p.Kind == "takeover" {
			require.Equal(t, n.instance != "", p.Gap.FromID != "", "the gap begins at a record, if there is one")
			n.instance, n.seq, n.moved = p.Instance, 0, true
			continue
		}
		require.Equal(t, p.ID, id)
		instance, _, _ := strings.Cut(id, "/")
		require.Equal(t, n.instance, instance, "only who holds the node publishes")
		require.Equal(t, n.seq+1, p.Seq, id)
		n.seq = p.Seq
		require.Zero(t, p.Lost, id)
		if p.Event != "UserEvent" {
			continue
		}
		phase, err := strconv.Atoi(p.Headers["Phase"].(string))
		require.NoError(t, err)
		number, err := strconv.Atoi(p.Headers["Seq"].(string))
		require.NoError(t, err)
		events[fmt.Sprint(p.Node, " ", phase)]++
		was, now := n.last, place{phase, number}
		require.Equal(t, 1, slices.Compare([]int{now.phase, now.number}, []int{was.phase, was.number}), "%s: %v after %v", p.Node, now, was)
		if now.phase == was.phase && now.number != was.number+1 || now.phase != was.phase && now.number != 1 {
			require.True(t, n.moved, "%s: %v after %v, and no takeover between", p.Node, now, was)
		}
		n.last, n.moved, n.held[phase] = now, false, n.instance
	}
	taken, back := 0, 0
	for key, n := range nodes {
		for _, phase := range []int{1, 3, 4} {
			require.Equal(t, each, events[fmt.Sprint(key, " ", phase)], "%s in phase %d", key, phase)
		}
		require.True(t, strings.HasPrefix(n.held[3], "b-"), n.held[3])
		if n.held[1] == n.held[3] {
			require.True(t, strings.HasPrefix(n.held[1], "b-"), n.held[1])
		} else {
			require.True(t, strings.HasPrefix(n.held[1], "a-"), n.held[1])
			taken++
		}
		if strings.HasPrefix(n.held[4], "a-") {
			back++
		}
	}
	require.Equal(t, 3, taken, "those of the one that was killed")
	require.Equal(t, 3, back, "its share")
}
