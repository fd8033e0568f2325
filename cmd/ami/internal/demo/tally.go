package demo

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/apn/ami/event"
)

// A tally counts the events of each node, and measures the latency of the quiet
// one's. The loop over the events owns it.
type tally struct {
	nodes map[string]*counts

	flooded       atomic.Int64 // when the flood began, as time.Time.UnixNano; 0 before
	before, while latencies
}

// counts are those of one node.
type counts struct {
	number       int
	events, lost uint64

	shown   uint64 // events when the last line was printed
	shownAt time.Time
}

// latencies are how long events took from the making to the loop.
type latencies []time.Duration

func newTally(keys []string) *tally {
	t := &tally{nodes: map[string]*counts{}}
	for _, key := range keys {
		number, _ := strconv.Atoi(key[len("pbx"):])
		t.nodes[key] = &counts{number: number - 1, shownAt: time.Now()}
	}
	return t
}

// floodFrom is called when the flood begins.
func (t *tally) floodFrom(at time.Time) { t.flooded.Store(at.UnixNano()) }

// add counts an event that the loop got now.
func (t *tally) add(e event.Event, now time.Time) *counts {
	n := t.nodes[e.Node]
	n.lost += e.Lost
	if _, gap := e.Gap(); gap {
		return n
	}
	n.events++
	if n.number == quiet {
		t.measure(e, now)
	}
	return n
}

// measure notes the latency of an event.
func (t *tally) measure(e event.Event, now time.Time) {
	made, ok := e.Timestamp()
	if !ok {
		return
	}
	took := now.Sub(made)
	if flooded := t.flooded.Load(); flooded == 0 || made.UnixNano() < flooded {
		t.before = append(t.before, took)
	} else {
		t.while = append(t.while, took)
	}
}

// sum prints what was counted and measured.
func (f *fleet) sum() {
	if f.floods() {
		f.say("\nLatency of pbx%d, the quiet node: from the moment its server made an event (the Timestamp header) until", quiet+1)
		f.say("the loop over the events had it, the one loop through which the flood went as well:")
		before, while := f.latency("before the flood", f.before), f.latency("during the flood", f.while)
		if 0 < while && while < before {
			f.say("  (a process at rest takes longer to wake up than a busy one)")
		}
	}
	f.say("\n%-5s  %10s  %6s  %11s  %10s", "node", "events", "lost", "queue drops", "reconnects")
	for key, c := range f.cluster.Nodes() {
		s, n := c.Stats(), f.nodes[key]
		f.say("%-5s  %10s  %6s  %11s  %10d", key, grouped(n.events), grouped(n.lost), grouped(s.EventsDropped), max(s.Connects, 1)-1)
	}
}

// latency prints a line and returns the median.
func (f *fleet) latency(when string, l latencies) time.Duration {
	if len(l) == 0 {
		f.say("  %s  no event", when)
		return 0
	}
	slices.Sort(l)
	median := l[len(l)/2]
	f.say("  %s  %4d events  median %8s  worst %8s", when, len(l), ms(median), ms(l[len(l)-1]))
	return median
}
