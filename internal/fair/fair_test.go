package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func numbered(node string, n uint64) Item { return ItemOf(event.Event{Node: node, Seq: n}) }

func gapped(node string, n uint64) Item {
	return ItemOf(event.OfGap(node, n, time.Time{}, event.Gap{From: n, To: n + 1, Down: time.Second}))
}

// TestRing compares random operations with what must hold: order is kept, and
// the events that came out plus those told as lost are all that went in, at any
// time (E6, E7).
func TestRing(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := NewRing(2 + rnd.IntN(50))
		var pushed, dropped, out, told, gaps uint64
		var last, carry uint64
		batch := make([]Item, 20)
		pop := func() {
			n := r.Pop(batch[:1+rnd.IntN(20)])
			for _, e := range batch[:n] {
				require.Greater(t, e.Seq, last)
				last = e.Seq
				told += e.Lost
				if _, gap := e.Of.Gap(); gap {
					gaps++
				} else {
					out++
				}
			}
		}
		gapOpen := false
		for i := range uint64(500) {
			if rnd.IntN(20) == 0 {
				dropped += r.Push(new(gapped("a", i+1)))
				gapOpen = true
			} else {
				pushed++
				dropped += r.Push(new(numbered("a", i+1)))
			}
			if rnd.IntN(15) == 0 {
				pop()
			}
			if r.Len() > r.Aside() && rnd.IntN(15) == 0 {
				node, n, untold := r.Drop()
				require.Equal(t, "a", node)
				dropped += n
				carry += untold
			}
			require.Equal(t, dropped, told+carry+r.Untold())
			require.Equal(t, pushed, out+dropped+uint64(r.Len()-r.Gaps()))
		}
		for r.Len() > 0 {
			pop()
		}
		require.Equal(t, pushed, out+dropped)
		require.Equal(t, dropped, told+carry, "each loss is told")
		if gapOpen {
			require.Positive(t, gaps, "a gap is never dropped")
		}
	}
}

// TestGapsAreSetAside: a full ring keeps one gap for each node, and says what
// was lost behind them.
func TestGapsAreSetAside(t *testing.T) { // E6, E7
	r := NewRing(2)
	require.Zero(t, r.Push(new(gapped("a", 1))))
	require.Zero(t, r.Push(new(gapped("b", 1))))
	require.True(t, r.Full())
	require.Zero(t, r.Push(new(gapped("a", 2))))
	require.Zero(t, r.Push(new(numbered("a", 3))))
	require.Zero(t, r.Push(new(numbered("b", 3))))
	require.EqualValues(t, 1, r.Push(new(numbered("b", 4))))
	require.Equal(t, 4, r.Len())
	got := make([]Item, 5)
	require.Equal(t, 1, r.Pop(got[:1]), "piece by piece")
	require.Equal(t, 3, r.Pop(got[1:]))
	a, ok := got[0].Of.Gap()
	require.True(t, ok)
	require.Equal(t, "a", got[0].Of.Node)
	require.EqualValues(t, 1, a.From)
	require.EqualValues(t, 3, a.To)
	require.Equal(t, 2*time.Second, a.Down)
	b, ok := got[1].Of.Gap()
	require.True(t, ok)
	require.Equal(t, "b", got[1].Of.Node)
	require.EqualValues(t, 1, b.From)
	require.EqualValues(t, 3, got[2].Seq)
	require.EqualValues(t, 1, got[2].Lost)
	require.EqualValues(t, 4, got[3].Seq)
	require.Zero(t, r.Len())
}

func TestDispatcherKeepsOrder(t *testing.T) { // E4: nothing lost, no wake-up missed
	const nodes, events = 20, 2000
	var wg sync.WaitGroup
	last := map[string]uint64{}
	total := 0
	d := NewDispatcher()
	deliver := func(batch []Item) {
		for _, e := range batch {
			if e.Seq != last[e.Of.Node]+1 {
				panic(fmt.Sprintf("%s: %d behind %d", e.Of.Node, e.Seq, last[e.Of.Node]))
			}
			last[e.Of.Node] = e.Seq
			total++
		}
	}
	var serving sync.WaitGroup
	serving.Go(d.Run)
	for n := range nodes {
		q := d.NewQueue(events, 1, deliver)
		wg.Go(func() {
			for i := range uint64(events) {
				q.Push([]Item{numbered(fmt.Sprint(n), i+1)})
			}
			if q.Dropped() != 0 {
				panic("dropped below the limit")
			}
		})
	}
	wg.Wait()
	d.Stop()
	serving.Wait()
	require.Equal(t, nodes*events, total, "what is queued at the end is delivered")
}

func TestQuietNodeIsServedWithinOneRound(t *testing.T) { // E4, E5
	synctest.Test(t, func(t *testing.T) {
		var order []string
		d := NewDispatcher()
		deliver := func(batch []Item) {
			for _, e := range batch {
				order = append(order, e.Of.Node)
			}
		}
		noisy, quiet := d.NewQueue(1000, 1, deliver), d.NewQueue(10, 1, deliver)
		for i := range uint64(1000) {
			noisy.Push([]Item{numbered("noisy", i)})
		}
		quiet.Push([]Item{numbered("quiet", 1)})
		require.Equal(t, 1000, noisy.Len())
		d.Stop()
		d.Run()
		require.Len(t, order, 1001)
		for i, node := range order {
			if node == "quiet" {
				require.LessOrEqual(t, i, Quantum)
				return
			}
		}
		t.Fatal("the quiet node was not served")
	})
}

func TestQueueDrops(t *testing.T) { // E6
	q := NewDispatcher().NewQueue(10, 1, func([]Item) {})
	for i := range uint64(100) {
		q.Push([]Item{numbered("a", i)})
	}
	require.EqualValues(t, 90, q.Dropped())
	require.Equal(t, 10, q.Len())
}

// TestWeights: busy nodes are served in proportion to their weights.
func TestWeights(t *testing.T) { // E4
	var order []string
	d := NewDispatcher()
	deliver := func(batch []Item) {
		for _, e := range batch {
			order = append(order, e.Of.Node)
		}
	}
	for node, weight := range map[string]int{"light": 1, "heavy": 20} {
		q := d.NewQueue(10_000, weight, deliver)
		for i := range uint64(5000) {
			q.Push([]Item{numbered(node, i)})
		}
	}
	d.Stop()
	d.Run()
	require.Len(t, order, 10_000)
	share := map[string]int{}
	for _, node := range order[:21*Quantum*10] {
		share[node]++
	}
	require.Equal(t, map[string]int{"light": 10 * Quantum, "heavy": 200 * Quantum}, share)
}

// TestFinish: the end of a queue is told behind its last event, also while the
// dispatcher is just delivering that, and without any.
func TestFinish(t *testing.T) { // A5, E1
	for range 200 {
		d := NewDispatcher()
		var serving sync.WaitGroup
		serving.Go(d.Run)
		delivered := 0
		q := d.NewQueue(100, 1, func(batch []Item) { delivered += len(batch) })
		pushed := rand.IntN(3)
		for i := range pushed {
			q.Push([]Item{numbered("a", uint64(i))})
		}
		finished := make(chan int, 2)
		q.Finish(func() { finished <- delivered })
		require.Equal(t, pushed, <-finished)
		d.Stop()
		serving.Wait()
		require.Empty(t, finished, "once")
	}
}

// TestMark compares what is behind a mark with what was pushed behind it:
// nothing else is delivered, nothing else counts as lost, and what the others
// get stays as it is, also when gaps merge across the mark (E6, E7).
func TestMark(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		q := NewDispatcher().NewQueue(2+rnd.IntN(20), 1, nil)
		seq, events := uint64(0), uint64(0)
		push := func(n int) {
			for range n {
				seq += 1 + uint64(rnd.IntN(3)/2) // some are not pushed: nobody listens
				e := numbered("a", seq)
				if rnd.IntN(8) == 0 {
					e = gapped("a", seq)
				} else {
					events++
				}
				q.Push([]Item{e})
			}
		}
		take := func(n int) []Item {
			batch := make([]Item, n)
			n, _, _ = q.take(batch)
			return batch[:n]
		}
		var before, lostBefore uint64
		count := func(batch []Item) {
			for _, e := range batch {
				lostBefore += e.Lost
				if _, gap := e.Of.Gap(); !gap {
					before++
				}
			}
		}
		for range rnd.IntN(5) {
			push(rnd.IntN(30))
			count(take(rnd.IntN(10)))
		}
		taken := take(rnd.IntN(10)) // on its way when the mark is made
		count(taken)
		var m Mark
		q.Mark(func(made Mark) { m = made })
		edge, pushed := seq, events
		m.made = time.Time{}
		require.Empty(t, m.Behind(taken))
		var out, lost uint64
		for round := 0; q.Len() > 0 || round < 5; round++ {
			if round < 5 {
				push(rnd.IntN(30))
			}
			batch := take(rnd.IntN(10))
			count(batch)
			was := slices.Clone(batch)
			for _, e := range m.Behind(batch) {
				require.Greater(t, e.Seq, edge)
				lost += e.Lost
				if _, gap := e.Of.Gap(); !gap {
					out++
				}
			}
			require.Equal(t, was, batch)
		}
		require.Equal(t, events, before+lostBefore)
		require.Equal(t, events-pushed, out+lost, "seed %d", seed)
	}
}

// TestMarkAndTheReader: an event that was read before the mark was made and
// pushed behind it is before it (E6).
func TestMarkAndTheReader(t *testing.T) {
	q := NewDispatcher().NewQueue(10, 1, nil)
	early := time.Now()
	var m Mark
	q.Mark(func(made Mark) { m = made })
	batch := []Item{ItemOf(event.Event{Seq: 1, Time: early}), ItemOf(event.Event{Seq: 2, Time: early}), ItemOf(event.Event{Seq: 3, Time: m.made})}
	require.Empty(t, m.Behind(batch[:1]))
	require.Equal(t, batch[2:], m.Behind(batch[1:]))
	require.Equal(t, batch, m.Behind(batch), "once passed it looks no more")
}

// TestBehind shows that Push tells when the dispatcher is behind with all queues
// together, and no longer when they were served (E1).
func TestBehind(t *testing.T) {
	d := NewDispatcher()
	a := d.NewQueue(10_000, 1, func([]Item) {})
	b := d.NewQueue(100, 1, func([]Item) {})
	var next uint64
	push := func(q *Queue, n int) (behind bool) {
		events := make([]Item, n)
		for i := range events {
			next++
			events[i] = numbered("a", next)
		}
		return q.Push(events)
	}
	require.False(t, push(a, backlog-100))
	require.False(t, push(b, 100))
	require.False(t, push(b, 50), "what a full queue drops does not wait")
	require.True(t, push(a, 1))
	d.Stop()
	d.Run()
	require.Zero(t, d.waiting.Load())
	require.False(t, push(a, 1))
}
