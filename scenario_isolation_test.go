package ami_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// TestS15QuietNodes: with 10 of 100 nodes in flood, an event of a quiet node is
// delivered behind at most quantum × ready nodes of the others; nothing of the
// quiet nodes is lost, and of the noisy ones what their queues could not hold is
// told exactly (E4, E5, E6).
func TestS15QuietNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, noisy = 100, 10
		const limit, flood = 3000, 4000 // events of a noisy node
		const every, turns, some = 250, 100, 5
		f := newFleet(t, size, ami.WithEventQueue(limit))
		f.run(t)
		g := newGate()
		g.close(t, f.list[size-1], f.Subscribe)
		// The dispatcher halts at every so many events, for quiet nodes to get
		// some in the middle of the flood.
		halts := newGate()
		var delivered int // by the dispatcher, which stands while others look
		halting := true
		sub := f.Subscribe(ami.Buffer(noisy*flood), ami.Where(func(e event.Event) bool {
			delivered++
			if e.Name() == "UserEvent" && halting && delivered%every == 0 {
				halts.stop()
			}
			return true
		}))
		var flooding sync.WaitGroup
		for _, srv := range f.list[:noisy] {
			flooding.Go(func() { _ = srv.Flood(t.Context(), 0, flood) })
		}
		flooding.Wait()
		g.open()
		sent := map[string]int{} // position in the stream, by number
		for turn := range turns {
			<-halts.shut
			for _, i := range rand.Perm(size - noisy)[:some] {
				n := fmt.Sprint(len(sent))
				sent[n] = delivered
				f.list[noisy+i].Broadcast("Quiet", amitest.ClassUser, amitest.F("N", n))
			}
			halting = turn < turns-1
			halts.open() // as soon as they are queued
		}
		synctest.Wait()

		require.EqualValues(t, noisy*(flood-limit), sub.Dropped())
		var delays []int
		lost := map[string]uint64{}
		for i, e := range take(t, sub, noisy*limit+len(sent)) {
			lost[e.Node] += e.Lost
			if e.Name() == "Quiet" {
				delays = append(delays, i-sent[e.Get("N")])
			}
		}
		require.Len(t, delays, turns*some, "nothing is lost on quiet nodes")
		for i := range size {
			key := fmt.Sprint("pbx", i+1)
			want := uint64(0)
			if i < noisy {
				want = flood - limit
			}
			require.Equal(t, want, lost[key], key)
		}
		slices.Sort(delays)
		t.Logf("events of others in between: median %d, p99 %d, most %d", delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1])
		require.LessOrEqual(t, delays[len(delays)*99/100], fair.Quantum*(noisy+some))
		require.LessOrEqual(t, delays[len(delays)-1], fair.Quantum*(noisy+some))
		require.Positive(t, delays[0])
	})
}

// A hurt is what is wrong with one node of many.
type hurt struct {
	name  string
	node  func(t *testing.T, f *fleet) ami.Node
	storm func(ctx context.Context, f *fleet, srv *amitest.Server) // goes on until ctx ends
}

func plain(t *testing.T, f *fleet) ami.Node {
	t.Helper()
	return f.serve(t, "bad")
}

func hurts() []hurt {
	faulty := func(faults amitest.Faults) func(*testing.T, *fleet) ami.Node {
		return func(t *testing.T, f *fleet) ami.Node {
			n := f.serve(t, "bad")
			f.servers[n.Addr].SetFaults(faults)
			return n
		}
	}
	return []hurt{
		{
			name: "stalled socket",
			node: func(t *testing.T, f *fleet) ami.Node { return f.serve(t, "bad", amitest.WithBuffer(4<<10)) },
			storm: func(ctx context.Context, f *fleet, srv *amitest.Server) {
				srv.Handle("Stall", func(c *amitest.Call) { <-c.Context().Done() })
				for ctx.Err() == nil {
					_, _ = f.Send(ctx, action.Custom("Stall", "Value", strings.Repeat("x", 500)), ami.To("bad"), ami.Timeout(100*time.Millisecond))
					for _, s := range srv.Sessions() {
						s.Silence(true)
					}
					pause(ctx, 10*time.Millisecond)
				}
			},
		},
		{
			name: "dead resolver",
			node: func(t *testing.T, f *fleet) ami.Node {
				n := f.serve(t, "bad")
				n.Addr = "bad.example:5038"
				return n
			},
		},
		{
			name: "TLS handshake that hangs",
			node: func(t *testing.T, f *fleet) ami.Node {
				n := faulty(amitest.Faults{HalfOpen: true})(t, f)
				n.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "bad"}
				return n
			},
		},
		{name: "login that never answers", node: faulty(amitest.Faults{LoginDelay: time.Hour})},
		{
			name: "parse storm", node: plain,
			storm: func(ctx context.Context, _ *fleet, srv *amitest.Server) {
				garbage := []byte("Event: Bad\r\n" + strings.Repeat("\xff", 300<<10) + "\r\n\r\n:\r\n\r\n")
				for ctx.Err() == nil {
					for _, s := range srv.Sessions() {
						if s.User() != "" {
							_ = s.Send(garbage)
						}
					}
					pause(ctx, 20*time.Millisecond)
				}
			},
		},
	}
}

// pause waits for fake time to pass, or for ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// An effect is what the healthy nodes of a cluster see in a minute.
type effect struct {
	events  int           // delivered
	dropped uint64        // and lost
	late    time.Duration // from broadcast to receipt, at most
	answers int
	failed  int
	latency time.Duration // of an answer, at most
	back    time.Duration // until a healthy node that was lost is back
	memory  uint64        // heap and stacks, at most
}

// TestS16OneBadNode: whatever is wrong with one node, the others deliver the
// same events and answers in the same time as without it, and memory stays what
// it was (D6, E5).
func TestS16OneBadNode(t *testing.T) {
	var healthy effect
	synctest.Test(t, func(t *testing.T) { healthy = hurt{name: "nothing", node: plain}.run(t) })
	require.Equal(t, effect{
		events: s16Nodes * s16Rounds, answers: s16Nodes * s16Rounds,
		back: healthy.back, memory: healthy.memory,
	}, healthy)
	for _, h := range hurts() {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := h.run(t)
				t.Logf("%+v", got)
				require.LessOrEqual(t, got.memory, healthy.memory+2<<20)
				got.memory, got.back = healthy.memory, healthy.back
				require.Equal(t, healthy, got)
			})
		})
	}
}

const (
	s16Nodes  = 10
	s16Rounds = 300 // of 200 ms
)

func (h hurt) run(t *testing.T) effect {
	t.Helper()
	f := &fleet{servers: map[string]*amitest.Server{}}
	var nodes []ami.Node
	for i := range s16Nodes {
		nodes = append(nodes, f.serve(t, fmt.Sprint("pbx", i+1)))
	}
	bad := h.node(t, f)
	resolver := &stuckResolver{release: make(chan struct{})}
	var err error
	// With two permits the bad node may hold one all the time.
	f.Cluster, err = ami.NewCluster(append(nodes, bad),
		ami.WithDialer(f.dial), ami.WithResolver(resolver), ami.WithConnectLimit(2))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- f.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		require.NoError(t, <-done)
		close(resolver.release)
	})
	for _, n := range nodes {
		c, _ := f.Node(n.Key)
		require.NoError(t, c.Ready(t.Context()))
	}
	synctest.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	var background sync.WaitGroup
	if h.storm != nil {
		background.Go(func() { h.storm(ctx, f, f.list[s16Nodes]) })
	}
	var got effect
	sub := f.Subscribe(ami.Named("Beat"))
	background.Go(func() {
		for e, err := range sub.All(ctx) {
			if _, gap := e.Gap(); err != nil || gap {
				continue
			}
			sent, err := time.Parse(time.RFC3339Nano, e.Get("At"))
			if err == nil {
				got.events++
				got.late = max(got.late, time.Since(sent))
			}
		}
	})
	var answers, failed, latency atomic.Int64
	for round := range s16Rounds {
		var asking sync.WaitGroup
		for i, srv := range f.list[:s16Nodes] {
			srv.Broadcast("Beat", amitest.ClassUser, amitest.F("At", time.Now().Format(time.RFC3339Nano)))
			asking.Go(func() {
				start := time.Now()
				_, err := f.Send(ctx, action.Ping{}, ami.To(fmt.Sprint("pbx", i+1)))
				if err != nil {
					failed.Add(1)
				}
				answers.Add(1)
				latency.Store(max(latency.Load(), int64(time.Since(start))))
			})
		}
		asking.Wait()
		pause(ctx, 200*time.Millisecond)
		if round%50 == 49 {
			synctest.Wait()
			got.memory = max(got.memory, liveMemory())
		}
	}
	require.LessOrEqual(t, resolver.most.Load(), int64(1), "a resolver that hangs is asked once")

	// One of the healthy nodes is lost and must not wait for the bad one.
	lost := time.Now()
	f.list[0].Sessions()[0].Kick()
	synctest.Wait()
	c, _ := f.Node("pbx1")
	require.NoError(t, c.Ready(ctx))
	got.back = time.Since(lost)
	require.LessOrEqual(t, got.back, 501*time.Millisecond, "the first wait, and no more")
	cancel()
	background.Wait()
	got.dropped = sub.Dropped()
	got.answers, got.failed, got.latency = int(answers.Load()), int(failed.Load()), time.Duration(latency.Load())

	stats := map[string]ami.Stats{}
	for key, c := range f.Nodes() {
		stats[key] = c.Stats()
	}
	require.EqualValues(t, 1, stats["pbx2"].Connects)
	if h.name == "nothing" {
		require.EqualValues(t, 1, stats["bad"].Connects)
	} else {
		require.Greater(t, stats["bad"].Failures+stats["bad"].Losses, uint64(2), "the bad node is bad")
	}
	return got
}

// liveMemory is the live heap and the stacks.
func liveMemory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
