package main

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/apn/ami"
)

// A rate is how fast a counter grows, per second: an average in which what is
// older than rateMemory counts for a third, and so on.
type rate struct {
	value float64
	count uint64
	at    time.Time // of count; zero before the first
	known bool
}

const rateMemory = 3 * time.Second

// take takes in what the counter is at a time.
func (r *rate) take(count uint64, at time.Time) {
	took := at.Sub(r.at)
	first := r.at.IsZero()
	if !first && took <= 0 {
		return
	}
	grown := count - r.count
	fresh := count < r.count // it counts from 0 again
	r.count, r.at = count, at
	if first || fresh {
		return
	}
	now := float64(grown) / took.Seconds()
	if !r.known {
		r.value, r.known = now, true
		return
	}
	r.value += (now - r.value) * (1 - math.Exp(-took.Seconds()/rateMemory.Seconds()))
}

// A row is a node on the board.
type row struct {
	nodeSample

	events rate
	drops  rate
	names  map[string]*rate
	at     time.Time // of the sample
	grew   time.Time // when the drops did last; zero: never
	why    string    // the node was down the last time; "": it never was
}

// droppingFor is how long drops are shown as growing after they did.
const droppingFor = 3 * time.Second

// dropped is how many events were dropped before they could be counted: by the
// queue of the node, or behind it. The latter number has the former in it, as soon
// as the next event comes.
func (s *nodeSample) dropped() uint64 { return max(s.stats.EventsDropped, s.lost) }

// reconnects is how often the node came back.
func (s *nodeSample) reconnects() uint64 { return max(s.stats.Connects, 1) - 1 }

// take takes in a sample.
func (r *row) take(s nodeSample, at time.Time) {
	before := r.drops.count
	previous := r.at
	r.nodeSample, r.at = s, at
	r.events.take(s.stats.Events, at)
	r.drops.take(s.dropped(), at)
	if r.drops.count > before {
		r.grew = at
	}
	if s.stats.Reason != nil {
		r.why = explain(s.key, s.stats.Reason)
	}
	for name, count := range s.names {
		known, ok := r.names[name]
		if !ok {
			known = &rate{at: previous} // it was at 0 then
			r.names[name] = known
		}
		known.take(count, at)
	}
}

// up reports whether the node takes actions.
func (s *nodeSample) up() bool { return s.stats.State == ami.Ready }

// reason is why the node is down, "" if it is not.
func (r *row) reason() string {
	if r.up() {
		return ""
	}
	return r.why
}

// A board is the nodes as they are to be shown: rows in an order, with some left
// out, and one selected. It has no clock and no terminal.
type board struct {
	at      time.Time // of the last sample
	rows    []*row    // in the order of the configuration
	byKey   map[string]*row
	sortBy  int // of columns
	reverse bool
	filter  string // a part of the node's name

	cursor int // the row that is chosen; it stays where it is when rows change places
	top    int // the first row that is in sight
}

func newBoard() *board { return &board{byKey: make(map[string]*row)} }

// take takes in a sample of all nodes.
func (b *board) take(samples []nodeSample, at time.Time) {
	b.at = at
	b.rows = b.rows[:0]
	for _, s := range samples {
		r, ok := b.byKey[s.key]
		if !ok {
			r = &row{names: make(map[string]*rate)}
			b.byKey[s.key] = r
		}
		r.take(s, at)
		b.rows = append(b.rows, r)
	}
}

// dropping reports whether the node drops events now.
func (b *board) dropping(r *row) bool { return !r.grew.IsZero() && b.at.Sub(r.grew) < droppingFor }

// shown returns the rows that pass the filter, in order.
func (b *board) shown() []*row {
	var rows []*row
	want := strings.ToLower(b.filter)
	for _, r := range b.rows {
		if strings.Contains(strings.ToLower(r.key), want) {
			rows = append(rows, r)
		}
	}
	c := columns[b.sortBy]
	slices.SortStableFunc(rows, func(x, y *row) int {
		order := c.compare(x, y)
		if c.descends != b.reverse {
			order = -order
		}
		return cmp.Or(order, strings.Compare(x.key, y.key))
	})
	return rows
}

// sortNext chooses the column that is step further among those in sight.
func (b *board) sortNext(visible []int, step int) {
	at := slices.Index(visible, b.sortBy)
	n := len(visible)
	b.sortBy, b.reverse, b.cursor, b.top = visible[((at+step)%n+n)%n], false, 0, 0
}

// turn turns the order round.
func (b *board) turn() { b.reverse, b.cursor, b.top = !b.reverse, 0, 0 }

// filterBy shows only nodes with a text in their name.
func (b *board) filterBy(text string) { b.filter, b.cursor, b.top = text, 0, 0 }

// move chooses the row that is step further, and scrolls so that it is in sight of
// a window that is lines high.
func (b *board) move(step, lines int) {
	rows := len(b.shown())
	lines = max(lines, 1)
	b.cursor = max(min(b.cursor+step, rows-1), 0)
	b.top = min(max(b.top, b.cursor-lines+1), b.cursor)
	b.top = max(min(b.top, rows-lines), 0)
}

// chosen returns the node that is chosen, "" if none is shown.
func (b *board) chosen() string {
	if rows := b.shown(); b.cursor < len(rows) {
		return rows[b.cursor].key
	}
	return ""
}

// totals sums up all nodes.
type totals struct {
	nodes, ready   int
	events         float64
	drops          uint64
	dropping       bool
	channels       int
	someChannels   bool // they are known of one node at least
	pending, queue int
}

func (b *board) totals() totals {
	t := totals{nodes: len(b.rows)}
	for _, r := range b.rows {
		if r.up() {
			t.ready++
		}
		t.events += r.events.value
		t.drops += r.dropped()
		t.dropping = t.dropping || b.dropping(r)
		if r.channels >= 0 {
			t.channels, t.someChannels = t.channels+r.channels, true
		}
		t.pending += r.stats.Pending
		t.queue += r.stats.Queued
	}
	return t
}

// A nameRate is how often an event comes.
type nameRate struct {
	name  string
	count uint64
	rate  float64
}

// busiest returns the n events of a node that come most often, or came if none
// comes.
func (r *row) busiest(n int) []nameRate {
	var all []nameRate
	for name, v := range r.names {
		all = append(all, nameRate{name, v.count, v.value})
	}
	slices.SortFunc(all, func(x, y nameRate) int {
		return cmp.Or(cmp.Compare(y.rate, x.rate), cmp.Compare(y.count, x.count), strings.Compare(x.name, y.name))
	})
	return all[:min(n, len(all))]
}
