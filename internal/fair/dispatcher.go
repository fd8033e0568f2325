package fair

import (
	"sync"
	"sync/atomic"

	"github.com/apn/ami/event"
)

// Quantum is how many events of one node are delivered before the next node has
// its turn; alone is that number when no other node has any.
const (
	Quantum = 8
	alone   = 64
)

// A Queue holds the events of one node until the dispatcher takes them. Push is
// called by the goroutine that reads the node, one at a time; Dropped and Len by
// anybody.
type Queue struct {
	dispatcher *Dispatcher
	dropped    atomic.Uint64

	mu    sync.Mutex
	ring  Ring
	ready bool // in the dispatcher's list, or being served
}

// Push queues events in order. It never waits: a full queue drops its oldest.
func (q *Queue) Push(events []event.Event) {
	q.mu.Lock()
	for _, e := range events {
		q.dropped.Add(q.ring.Push(e))
	}
	wake := !q.ready && q.ring.Len() > 0
	q.ready = q.ready || wake
	q.mu.Unlock()
	if wake {
		q.dispatcher.serve(q)
	}
}

// Len returns the number of events that wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ring.Len()
}

// Dropped returns the number of events dropped since the queue was made.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// take moves events to dst. more reports whether others are left; if not, the
// next Push puts the queue on the list again.
func (q *Queue) take(dst []event.Event) (n int, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = q.ring.Pop(dst)
	q.ready = q.ring.Len() > 0
	return n, q.ready
}

// A Dispatcher serves the queues that have events, in turn. Its cost per event
// does not depend on the number of nodes.
type Dispatcher struct {
	deliver func([]event.Event) // must not block, nor keep the slice
	wake    chan struct{}       // Push → Run, one slot: the list is no longer empty

	mu   sync.Mutex
	list []*Queue // ready queues, the next one first
}

// NewDispatcher returns a dispatcher that hands batches of one node's events to
// deliver, on the goroutine that calls Run.
func NewDispatcher(deliver func([]event.Event)) *Dispatcher {
	return &Dispatcher{deliver: deliver, wake: make(chan struct{}, 1)}
}

// NewQueue returns the queue of one more node, for at most limit events.
func (d *Dispatcher) NewQueue(limit int) *Queue {
	return &Queue{dispatcher: d, ring: NewRing(limit)}
}

// Run serves until done is closed, and then once more what is queued by then.
func (d *Dispatcher) Run(done <-chan struct{}) {
	batch := make([]event.Event, alone)
	for over := false; !over; {
		select {
		case <-d.wake:
		case <-done:
			over = true
		}
		for d.serveOne(batch) {
		}
	}
}

// serveOne gives the next ready queue its turn.
func (d *Dispatcher) serveOne(batch []event.Event) bool {
	d.mu.Lock()
	if len(d.list) == 0 {
		d.list = nil // let the backing array go
		d.mu.Unlock()
		return false
	}
	q := d.list[0]
	d.list[0] = nil
	d.list = d.list[1:]
	turn := Quantum
	if len(d.list) == 0 {
		turn = alone
	}
	d.mu.Unlock()

	n, more := q.take(batch[:turn])
	d.deliver(batch[:n])
	clear(batch[:n])
	if more {
		d.serve(q)
	}
	return true
}

// serve puts q at the end of the list.
func (d *Dispatcher) serve(q *Queue) {
	d.mu.Lock()
	d.list = append(d.list, q)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // told already
	}
}
