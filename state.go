package ami

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"
)

// A State is a step in the life of a node's connection.
type State uint8

// The states. A node goes through them in this order and falls back to
// Disconnected from any.
const (
	Disconnected   State = iota // waiting for the next attempt, or not running
	Connecting                  // looking up, waiting for its turn in a cluster, dialling, TLS
	Connected                   // waiting for Asterisk's greeting
	Authenticating              // logging in
	Ready                       // taking actions
)

// String returns the state's name in lower case.
func (s State) String() string {
	names := [...]string{"disconnected", "connecting", "connected", "authenticating", "ready"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// A StateChange tells of one step.
type StateChange struct {
	Node     string
	From, To State
	At       time.Time
	Epoch    uint64 // number of the session, from 1; that of the last one while there is none
	Reason   error  // why it fell back to Disconnected; nil on the way up
	// LanesDown is how many action lanes are down, of those that
	// WithActionLanes set. When one is lost or comes back while the node is
	// ready, that is a change from Ready to Ready, with the Reason of a loss.
	LanesDown int
	Missed    uint64 // changes just before this one that the watcher was too slow for
}

// How many changes a slow watcher may be behind: of a node, of a cluster.
const (
	stateKept        = 16
	clusterStateKept = 4096
)

// stateBox holds the state of a node, or the changes of all nodes of a cluster.
// Supervisors alone set it; anybody reads and watches.
type stateBox struct {
	up *stateBox // the cluster's; nil without one

	mu      sync.Mutex
	now     StateChange   // the state; of a cluster the latest change
	watched bool          // somebody has asked for changes; until then none are kept
	recent  []StateChange // ring, made on demand: change n is at n % kept
	kept    uint64
	count   uint64        // changes kept so far
	changed chan struct{} // closed at the next change, then replaced
	over    bool          // no more changes
}

func newStateBox(node string, kept int, up *stateBox) *stateBox {
	return &stateBox{up: up, kept: uint64(kept), now: StateChange{Node: node, At: time.Now()}, changed: make(chan struct{})}
}

func (b *stateBox) set(to State, epoch uint64, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.now
	c.From, c.To, c.At, c.Epoch, c.Reason = c.To, to, time.Now(), epoch, reason
	b.now = c
	b.tell(c)
}

// lanes counts action lanes in or out that are down. It does not touch the state:
// how long it has lasted, and why.
func (b *stateBox) lanes(down int, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.LanesDown += down
	c := b.now
	if c.To != Ready { // the next change says it
		return
	}
	c.From, c.At, c.Reason = c.To, time.Now(), reason
	b.tell(c)
}

// tell records a change here and in the cluster. The caller holds mu.
func (b *stateBox) tell(c StateChange) {
	b.record(c)
	if b.up != nil {
		b.up.mu.Lock()
		defer b.up.mu.Unlock()
		b.up.now = c
		b.up.record(c)
	}
}

// record appends a change. The caller holds mu.
func (b *stateBox) record(c StateChange) {
	if b.watched {
		if uint64(len(b.recent)) < b.kept {
			b.recent = append(b.recent, c)
		} else {
			b.recent[b.count%b.kept] = c
		}
		b.count++
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// wake has whoever waits for a change look again.
func (b *stateBox) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		close(b.changed)
		b.changed = make(chan struct{})
	}
	if b.up != nil {
		b.up.wake()
	}
}

// finish ends all watchers.
func (b *stateBox) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		close(b.changed)
	}
}

func (b *stateBox) get() (now StateChange, changed <-chan struct{}, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now, b.changed, b.over
}

// next returns the first change after number seen.
func (b *stateBox) next(seen uint64) (c StateChange, number uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seen == b.count {
		return StateChange{}, seen, false
	}
	var missed uint64
	if b.count-seen > b.kept {
		missed = b.count - seen - b.kept
		seen += missed
	}
	c = b.recent[seen%b.kept]
	c.Missed = missed
	return c, seen + 1, true
}

// watch yields the changes from number seen on until ctx or the box ends.
func (b *stateBox) watch(ctx context.Context, seen uint64) iter.Seq[StateChange] {
	return func(yield func(StateChange) bool) {
		for ctx.Err() == nil {
			_, changed, over := b.get() // before next: a change in between closes it
			c, n, ok := b.next(seen)
			if ok {
				if seen = n; !yield(c) {
					return
				}
				continue
			}
			if over {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// number returns that of the next change, for watch.
func (b *stateBox) number() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = true
	return b.count
}
