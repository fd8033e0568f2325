// Package fair takes the events of many nodes to one place so that none of them
// starves the others.
package fair

import (
	"slices"

	"github.com/apn/ami/event"
)

const (
	ringFirst = 16      // capacity of a ring that was just needed
	ringKept  = 1 << 10 // capacity that an empty ring keeps
)

// A Ring is a queue of events that grows on demand up to its limit and then
// drops the oldest. What it drops it adds to the Lost of the event behind, so
// that the loss is told exactly where it happened. A gap is never dropped: it
// is set aside, beyond the limit, at most one for each node.
//
// A Ring is not safe for concurrent use.
type Ring struct {
	buf     []Item
	head, n int
	most    int // n at its highest, halved in about five fillings
	limit   int

	aside []Item // gaps older than all in buf

	gaps   int    // how many of the events are
	untold uint64 // sum of their Lost
}

// NewRing returns a ring for at most limit events, 2 at least.
func NewRing(limit int) Ring { return Ring{limit: max(limit, 2)} }

// Len returns the number of events in the ring.
func (r *Ring) Len() int { return len(r.aside) + r.n }

// Aside returns how many of them are gaps that were set aside. They come first.
func (r *Ring) Aside() int { return len(r.aside) }

// First returns the oldest event, nil if there is none.
func (r *Ring) First() *Item {
	switch {
	case len(r.aside) > 0:
		return &r.aside[0]
	case r.n > 0:
		return r.at(0)
	}
	return nil
}

// Gaps returns how many of the events are gaps.
func (r *Ring) Gaps() int { return r.gaps }

// Untold returns how many losses the events in the ring tell of.
func (r *Ring) Untold() uint64 { return r.untold }

// Full reports whether the next Push has to make room.
func (r *Ring) Full() bool { return r.n >= r.limit }

// Push appends a copy of e and returns how many events it dropped for that.
func (r *Ring) Push(e *Item) (dropped uint64) {
	if r.n >= r.limit {
		told := *e // what is dropped last may be told by it
		dropped = r.dropOldest(&told)
		e = &told
	}
	if r.n == len(r.buf) {
		r.grow()
	}
	*r.at(r.n) = *e
	r.n++
	r.most = max(r.most, r.n)
	r.untold += e.Lost
	if e.isGap() {
		r.gaps++
	}
	return dropped
}

// Pop moves up to len(dst) of the oldest events to dst and returns how many.
func (r *Ring) Pop(dst []Item) int {
	first := 0
	if len(r.aside) > 0 {
		first = copy(dst, r.aside)
		for i := range first {
			r.untold -= dst[i].Lost
		}
		r.gaps -= first
		r.aside = slices.Delete(r.aside, 0, first)
		dst = dst[first:]
	}
	n := min(len(dst), r.n)
	for i := range n {
		slot := r.at(i)
		dst[i] = *slot
		r.untold -= slot.Lost
		if slot.isGap() {
			r.gaps--
		}
		*slot = Item{} // do not pin the frame
	}
	r.head = (r.head + n) & (max(len(r.buf), 1) - 1)
	r.n -= n
	if n > 0 {
		r.shrink()
	}
	return first + n
}

// Drop drops the oldest event that is not set aside, one of which there must
// be, or sets it aside if it is a gap. It returns the event's node, how many
// events that cost, and of the losses those that no event is left to tell of.
func (r *Ring) Drop() (node string, dropped, untold uint64) {
	var none Item // stands for the next one to be pushed
	node = r.at(0).Of.Node
	dropped = r.dropOldest(&none)
	r.shrink()
	return node, dropped, none.Lost
}

// shrink lets a large array go when the ring is empty, unless one of its latest
// fillings has used it: in a flood that would grow it anew all the time.
func (r *Ring) shrink() {
	if r.n > 0 {
		return
	}
	r.head = 0
	if len(r.buf) > ringKept && r.most <= len(r.buf)/4 {
		r.buf = nil
	}
	r.most -= r.most / 8
}

// dropOldest makes room. next is the event that is about to be pushed.
func (r *Ring) dropOldest(next *Item) uint64 {
	oldest := *r.at(0)
	r.advance()
	if oldest.isGap() {
		r.setAside(oldest)
		return 0
	}
	if r.n > 0 {
		next = r.at(0)
		r.untold++
	} else {
		r.untold -= oldest.Lost
	}
	next.Lost += oldest.Lost + 1
	return 1
}

// setAside keeps a gap. Two of the same node become one, unless the first is
// final: what follows is of another node with that key. Of such pairs the last
// one is kept.
func (r *Ring) setAside(gap Item) {
	last, same := -1, 0
	for i := range r.aside {
		if r.aside[i].Of.Node == gap.Of.Node {
			last, same = i, same+1
		}
	}
	if same > 0 {
		if g, _ := r.aside[last].Of.Gap(); same > 1 || !g.Final() {
			r.aside[last] = ItemOf(event.MergeGaps(r.aside[last].Event(), gap.Event()))
			r.gaps--
			return
		}
	}
	r.aside = append(r.aside, gap)
}

func (r *Ring) advance() {
	*r.at(0) = Item{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
}

// at returns the i-th oldest slot. Capacities are powers of two.
func (r *Ring) at(i int) *Item { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *Ring) grow() {
	buf := make([]Item, max(2*len(r.buf), ringFirst))
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}
