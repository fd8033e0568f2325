package correlate

import (
	"container/heap"
	"context"
	"time"
)

// deadlines ends actions at their own time limit, all with one timer: a timer
// for each would cost more than the rest of the bookkeeping, and nearly every
// action ends long before its limit. The table's lock guards it.
type deadlines struct {
	pending byDeadline
	expire  func()      // Table.expire; set with the table
	timer   *time.Timer // runs expire; nil until the first action
	armed   time.Time   // when it fires: at the first deadline or before; zero if it does not
}

// add has p expired at its deadline, if it has one.
func (d *deadlines) add(p *Pending) {
	if p.Deadline.IsZero() {
		p.slot = -1
		return
	}
	heap.Push(&d.pending, p)
	switch {
	case d.timer == nil:
		d.timer = time.AfterFunc(time.Until(p.Deadline), d.expire)
	case d.armed.IsZero() || p.Deadline.Before(d.armed):
		d.timer.Reset(time.Until(p.Deadline))
	default:
		return // it fires early enough, and then finds out what is next
	}
	d.armed = p.Deadline
}

// remove forgets p. The timer stays as it is: to move it each time an action
// ends is the cost that deadlines saves.
func (d *deadlines) remove(p *Pending) {
	if p.slot >= 0 {
		heap.Remove(&d.pending, p.slot)
	}
}

// due returns an action whose deadline has come, nil if there is none.
func (d *deadlines) due(now time.Time) *Pending {
	if len(d.pending) == 0 || d.pending[0].Deadline.After(now) {
		return nil
	}
	return d.pending[0]
}

// rearm sets the timer that has just fired for the next deadline.
func (d *deadlines) rearm() {
	d.armed = time.Time{}
	if len(d.pending) > 0 {
		d.armed = d.pending[0].Deadline
		d.timer.Reset(time.Until(d.armed))
	}
}

// rest stops the timer if nothing is pending.
func (d *deadlines) rest() {
	if len(d.pending) == 0 && !d.armed.IsZero() {
		d.timer.Stop()
		d.armed = time.Time{}
	}
}

// expire ends the actions whose deadline has come. The timer runs it.
func (t *Table) expire() {
	for {
		t.mu.Lock()
		p := t.deadlines.due(time.Now())
		if p == nil {
			t.deadlines.rearm()
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		t.Expire(p, context.DeadlineExceeded)
	}
}

// byDeadline is a heap of pending actions, the earliest deadline first.
type byDeadline []*Pending

func (h byDeadline) Len() int           { return len(h) }
func (h byDeadline) Less(i, j int) bool { return h[i].Deadline.Before(h[j].Deadline) }

func (h byDeadline) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}

// Push and Pop are for container/heap.
func (h *byDeadline) Push(x any) {
	p := x.(*Pending) // heap.Push above passes nothing else
	p.slot = len(*h)
	*h = append(*h, p)
}

func (h *byDeadline) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}
