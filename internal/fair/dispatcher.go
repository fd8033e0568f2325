package fair

import (
	"sync"
	"sync/atomic"
)

// Quantum is how many events of one node, times its weight, are delivered
// before the next node has its turn; alone is the least of that number when no
// other node has any.
const (
	Quantum = 4
	alone   = 64
)

// backlog is how many events may wait before the dispatcher counts as behind.
const backlog = 1024

// MaxWeight bounds the share of one node, and with it how long a turn lasts.
const MaxWeight = 100

// A Queue holds the events of one node until the dispatcher takes them. Push is
// called by the goroutine that reads the node, one at a time, and Finish after
// the last Push; Dropped and Len by anybody.
type Queue struct {
	dispatcher *Dispatcher
	deliver    func([]Item)
	weight     int
	dropped    atomic.Uint64

	mu       sync.Mutex
	ring     Ring
	last     uint64 // number of the last event pushed
	ready    bool   // in the dispatcher's list, or being served
	finished func() // called when nothing is left; nil before Finish

	next *Queue // behind this one in the dispatcher's list; under its mu
}

// Push queues events in order. It never waits: a full queue drops its oldest.
// It reports whether the dispatcher is behind with all of its queues together.
func (q *Queue) Push(events []Item) (behind bool) {
	q.mu.Lock()
	before := q.ring.Len()
	var dropped uint64
	for i := range events {
		dropped += q.ring.Push(&events[i])
	}
	if dropped > 0 {
		q.dropped.Add(dropped)
	}
	if len(events) > 0 {
		q.last = events[len(events)-1].Seq
	}
	more := q.ring.Len() - before
	wake := !q.ready && q.ring.Len() > 0
	q.ready = q.ready || wake
	q.mu.Unlock()
	behind = q.dispatcher.waiting.Add(int64(more)) > backlog
	if wake {
		q.dispatcher.enlist(q)
	}
	return behind
}

// Len returns the number of events that wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ring.Len()
}

// Dropped returns the number of events dropped since the queue was made.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// Finish has done called, once, on the goroutine of Run, when all that was
// pushed is delivered.
func (q *Queue) Finish(done func()) {
	q.mu.Lock()
	q.finished = done
	wake := !q.ready
	q.ready = true
	q.mu.Unlock()
	if wake {
		// Even if nothing is left: the last batch may just be on its way, and
		// the next turn comes after it.
		q.dispatcher.enlist(q)
	}
}

// take moves events to dst. more reports whether others are left; if not, the
// next Push puts the queue on the list again, and finished is to be called.
func (q *Queue) take(dst []Item) (n int, more bool, finished func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = q.ring.Pop(dst)
	q.dispatcher.waiting.Add(int64(-n))
	q.ready = q.ring.Len() > 0
	if !q.ready {
		finished, q.finished = q.finished, nil
	}
	return n, q.ready, finished
}

// A Dispatcher serves the queues that have events, in turn. Its cost per event
// does not depend on the number of nodes.
type Dispatcher struct {
	// Push and Stop → Run, one slot: there is something to do. Run waits for
	// this alone, which is cheaper than a select.
	wake    chan struct{}
	stopped atomic.Bool
	waiting atomic.Int64 // events in all queues

	mu          sync.Mutex
	first, last *Queue // the list of ready queues; nil if there is none
}

// NewDispatcher returns a dispatcher without queues.
func NewDispatcher() *Dispatcher { return &Dispatcher{wake: make(chan struct{}, 1)} }

// NewQueue returns the queue of one more node, for at most limit events. Its
// share among busy nodes is in proportion to weight, 1 to MaxWeight. Batches of
// its events go to deliver, on the goroutine that calls Run; deliver must not
// block, nor keep the slice.
func (d *Dispatcher) NewQueue(limit, weight int, deliver func([]Item)) *Queue {
	return &Queue{dispatcher: d, deliver: deliver, weight: weight, ring: NewRing(limit)}
}

// Run serves until Stop is called, and then once more what is queued by then. If
// deliver ends the goroutine (runtime.Goexit), it may be called again and goes on.
func (d *Dispatcher) Run() {
	defer d.signal() // who goes on need not wait for an event
	batch := make([]Item, alone)
	for over := false; !over; {
		<-d.wake
		over = d.stopped.Load() // before the list is served: what came before Stop is
		used := 0
		for q, turn := d.next(); q != nil; q, turn = d.next() {
			if turn > len(batch) {
				batch = make([]Item, turn)
			}
			used = max(used, d.serve(q, batch[:turn]))
		}
		clear(batch[:used]) // do not pin frames while nothing comes
	}
}

// Stop ends Run, now or when it is called. It does not wait for it.
func (d *Dispatcher) Stop() {
	d.stopped.Store(true)
	d.signal()
}

func (d *Dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // told already
	}
}

// next takes the queue whose turn it is off the list, nil if there is none, and
// says how many events it may deliver.
func (d *Dispatcher) next() (q *Queue, turn int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q = d.first
	if q == nil {
		return nil, 0
	}
	d.first, q.next = q.next, nil
	turn = Quantum * q.weight
	if d.first == nil {
		d.last = nil
		turn = max(turn, alone)
	}
	return q, turn
}

// serve gives q its turn and returns how many events that were. batch is room for
// them.
func (d *Dispatcher) serve(q *Queue, batch []Item) int {
	n, more, finished := q.take(batch)
	defer func() { // also if deliver calls runtime.Goexit
		if more {
			d.enlist(q)
		}
		if finished != nil {
			finished()
		}
	}()
	if n > 0 {
		q.deliver(batch[:n])
	}
	return n
}

// enlist puts q at the end of the list.
func (d *Dispatcher) enlist(q *Queue) {
	d.mu.Lock()
	if d.last == nil {
		d.first = q
	} else {
		d.last.next = q
	}
	d.last = q
	d.mu.Unlock()
	d.signal()
}
