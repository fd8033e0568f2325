package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apn/ami/event"
)

// A merge takes the events of many nodes to one consumer.
type merge struct {
	push func(node int, e Item)
	take func(n int) // waits until n more events have been consumed
	end  func()
}

// serial is the Dispatcher on the goroutine of the producer: what an event
// costs, and no goroutine is woken for it.
func serial(nodes int) merge {
	d, taken := NewDispatcher(), 0
	queues := newQueues(d, nodes, func(n int) { taken += n })
	batch, one := make([]Item, alone), make([]Item, 1)
	return merge{
		push: func(node int, e Item) {
			one[0] = e
			queues[node].Push(one)
		},
		take: func(n int) { // one round of Run
			<-d.wake
			for q, turn := d.next(); q != nil; q, turn = d.next() {
				d.serve(q, batch[:turn])
			}
			if taken -= n; taken != 0 {
				panic("not all were delivered")
			}
		},
		end: func() {},
	}
}

// parallel is the Dispatcher on a goroutine of its own.
func parallel(nodes int) merge {
	d := NewDispatcher()
	var serving sync.WaitGroup
	serving.Go(d.Run)
	got := make(chan int, 1<<16)
	queues := newQueues(d, nodes, func(n int) { got <- n })
	one := make([]Item, 1)
	return merge{
		push: func(node int, e Item) {
			one[0] = e
			queues[node].Push(one)
		},
		take: func(n int) {
			for n > 0 {
				n -= <-got
			}
		},
		end: func() {
			d.Stop()
			serving.Wait()
		},
	}
}

func newQueues(d *Dispatcher, nodes int, deliver func(n int)) []*Queue {
	queues := make([]*Queue, nodes)
	for n := range queues {
		queues[n] = d.NewQueue(10_000, 1, func(batch []Item) { deliver(len(batch)) })
	}
	return queues
}

// fanIn is the peer: a goroutine for each node takes events from the node's
// channel to the one of all.
func fanIn(nodes int) merge {
	out := make(chan Item, 1024)
	in := make([]chan Item, nodes)
	var forwarding sync.WaitGroup
	for n := range in {
		c := make(chan Item, 64)
		in[n] = c
		forwarding.Go(func() {
			for e := range c {
				out <- e
			}
		})
	}
	return merge{
		push: func(node int, e Item) { in[node] <- e },
		take: func(n int) {
			for range n {
				<-out
			}
		},
		end: func() {
			for _, c := range in {
				close(c)
			}
			forwarding.Wait()
		},
	}
}

// BenchmarkMerge measures what an event costs with 10, 1,000 and 10,000 nodes,
// through a Dispatcher and through a fan-in, in turns within one run. Events
// come from one node after the other; a burst of them is pushed, then taken.
// "x-spread" is the dearest number of nodes over the cheapest, "x-fanin" the
// Dispatcher over the fan-in, where it looks worst.
func BenchmarkMerge(b *testing.B) {
	for _, bm := range []struct {
		name  string
		fair  func(int) merge
		burst int
	}{
		{"serial/burst=1", serial, 1},
		{"serial/burst=500", serial, 500},
		{"parallel/burst=1", parallel, 1},
		{"parallel/burst=500", parallel, 500},
	} {
		b.Run(bm.name, func(b *testing.B) { benchmarkMerge(b, bm.fair, bm.burst) })
	}
}

func benchmarkMerge(b *testing.B, fair func(int) merge, burst int) {
	const lap = 500 // events: short, so that few laps are disturbed by others on the machine
	sizes := []int{10, 1000, 10_000}
	var ways []merge // fair and fan-in of each size
	for _, n := range sizes {
		ways = append(ways, fair(n), fanIn(n))
	}
	took, at := make([][]time.Duration, len(ways)), make([]int, len(ways))
	e := ItemOf(event.Event{Node: "pbx1"})
	for i, m := range ways { // what is allocated once
		for n := range sizes[i/2] {
			m.push(n, e)
			m.take(1)
		}
	}
	for b.Loop() {
		for i, m := range ways {
			nodes := sizes[i/2]
			start := time.Now()
			for range lap / burst {
				for range burst {
					m.push(at[i]%nodes, e)
					at[i]++
				}
				m.take(burst)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])/2]) / lap
	}
	var own []float64
	worst := 0.0
	for i, n := range sizes {
		m, f := median(2*i), median(2*i+1)
		own, worst = append(own, m), max(worst, m/f)
		b.ReportMetric(m, fmt.Sprintf("ns-%d", n))
		b.ReportMetric(f, fmt.Sprintf("ns-fanin-%d", n))
	}
	b.ReportMetric(slices.Max(own)/slices.Min(own), "x-spread")
	b.ReportMetric(worst, "x-fanin")
	b.ReportMetric(0, "ns/op")
	for _, m := range ways {
		m.end()
	}
}

// BenchmarkQuietNode has 10 nodes of 1,000 that always have events waiting and
// 990 that rarely send one, which is pushed at every 32nd event of the others.
// An event takes the consumer a microsecond. It measures how long those of the
// quiet nodes wait, in microseconds, in events of other nodes that went first,
// and as a ratio to the time of one round: a turn of each of the 10. "p99-µs" is
// the median of those of laps of 200 such events, which others on the machine
// seldom disturb; "p99-all-µs" is that of all together.
func BenchmarkQuietNode(b *testing.B) {
	const nodes, noisy, each, lap = 1000, 10, 32, 200
	var (
		d       = NewDispatcher()
		over    atomic.Bool
		served  atomic.Uint64 // events of the noisy nodes
		tick    = make(chan struct{}, 1)
		arrived = make(chan struct{}, 1)

		// Of the dispatcher's goroutine.
		waits, rounds []time.Duration
		ahead         []uint64
		round         time.Time
	)
	noise := ItemOf(event.Event{Node: "noisy"})
	for n := range noisy {
		var q *Queue
		q = d.NewQueue(1000, 1, func(batch []Item) {
			if now := time.Now(); n == 0 {
				if !round.IsZero() {
					rounds = append(rounds, now.Sub(round))
				}
				round = now
			}
			for range batch {
				work()
				if served.Add(1)%each == 0 {
					signal(tick)
				}
			}
			if !over.Load() {
				q.Push(batch) // there are always more
			}
		})
		for range 100 {
			q.Push([]Item{noise})
		}
	}
	quiet := newQueues(d, nodes-noisy, nil)
	for _, q := range quiet {
		q.deliver = func(batch []Item) {
			for _, e := range batch {
				waits = append(waits, time.Since(e.Of.Time))
				ahead = append(ahead, served.Load()-e.Seq)
				if len(waits)%lap == 0 {
					signal(arrived)
				}
			}
		}
	}
	var serving, sending sync.WaitGroup
	serving.Go(d.Run)
	sending.Go(func() {
		for range tick {
			quiet[rand.IntN(len(quiet))].Push([]Item{ItemOf(event.Event{Node: "quiet", Seq: served.Load(), Time: time.Now()})})
		}
	})
	for b.Loop() {
		<-arrived
	}
	over.Store(true)
	d.Stop()
	serving.Wait()
	close(tick) // the dispatcher was the sender
	sending.Wait()
	p99 := func(waits []time.Duration) time.Duration {
		slices.Sort(waits)
		return waits[len(waits)*99/100]
	}
	var laps []time.Duration
	for waits := range slices.Chunk(waits, lap) {
		if len(waits) == lap {
			laps = append(laps, p99(slices.Clone(waits)))
		}
	}
	slices.Sort(laps)
	slices.Sort(rounds)
	slices.Sort(ahead)
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	wait, oneRound := laps[len(laps)/2], rounds[len(rounds)/2]
	b.ReportMetric(us(wait), "p99-µs")
	b.ReportMetric(us(p99(waits)), "p99-all-µs")
	b.ReportMetric(us(oneRound), "round-µs")
	b.ReportMetric(float64(wait)/float64(oneRound), "p99/round")
	b.ReportMetric(float64(ahead[len(ahead)*99/100]), "p99-ahead")
	b.ReportMetric(0, "ns/op")
}

// work takes a microsecond.
func work() {
	start := time.Now()
	for {
		if time.Since(start) >= time.Microsecond {
			return
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
