package asynclog

// A Reason is why a record was lost.
type Reason string

// The reasons.
const (
	CapacityExceeded Reason = "capacity_exceeded" // the queue was full; the oldest record made room
	SinkError        Reason = "sink_error"        // the sink's Handle returned an error
	SinkPanic        Reason = "sink_panic"        // the sink panicked, or called runtime.Goexit
	Closed           Reason = "closed"            // still queued when Close gave up, or handled after Close
)

// reasons is their order in queue.losses.
var reasons = [...]Reason{CapacityExceeded, SinkError, SinkPanic, Closed}

const (
	byCapacity = iota
	byError
	byPanic
	byClose
)

// Stats is a snapshot of a handler and all that are derived from it. At any
// moment Handled is the sum of Delivered, Queued and all of Dropped. The counters
// only grow.
type Stats struct {
	Handled   uint64            // calls of Handle
	Delivered uint64            // records that the sink has taken, or whose level its derived handler did not want
	Queued    int               // records that wait, and the one that the sink has in hand
	Dropped   map[Reason]uint64 // records that are lost; all reasons are in it
	LastError error             // of the sink: what it returned, wrapped, secrets in the text hidden, or a *PanicError; nil if there was none
}

// Stats returns the counters. It never waits for the sink.
func (h *Handler) Stats() Stats {
	q := h.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{
		Handled: q.accepted + q.refused, Delivered: q.delivered, Queued: q.backlog.n + q.inHand,
		Dropped: make(map[Reason]uint64, len(reasons)), LastError: q.lastError,
	}
	for i, r := range reasons {
		s.Dropped[r] = q.losses[i].total
	}
	return s
}
