package lease

import (
	"maps"
	"slices"
	"sync"
)

// A Change tells that this process holds a node from now on, or that it is to let
// go of it.
type Change struct {
	Node string

	// Held true: connect to the node. False: finish with the node, then call
	// Release.
	Held bool

	// Lost is set with Held false if another process holds the node already.
	Lost bool

	// Revision of the node's key in the bucket when the hold began. It grows with
	// each holder as long as the bucket lives; it is no token of a Fencer.
	Revision uint64
}

// A phase is where the user is with a node. A node that is in none is not his.
type phase uint8

const (
	held     phase = iota + 1
	ending         // he was told to let go
	released       // he has; the key may still be ours
)

// holds is the user's side: what he was told of each node, and what he answered.
// There is at most one Change for each node that he has not received.
type holds struct {
	wake chan struct{} // the keeper: the user answered
	more chan struct{} // the pump: there are changes

	mu    sync.Mutex
	nodes map[string]hold
	queue []Change
}

type hold struct {
	phase    phase
	revision uint64
}

func newHolds() *holds {
	return &holds{wake: make(chan struct{}, 1), more: make(chan struct{}, 1), nodes: make(map[string]hold)}
}

// signal wakes whoever waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // told already
	}
}

// begin tells the user that he holds the node, unless he still has to do with it.
// It reports whether it did.
func (h *holds) begin(node string, revision uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nodes[node].phase != 0 {
		return false
	}
	h.nodes[node] = hold{held, revision}
	h.push(Change{Node: node, Held: true, Revision: revision})
	return true
}

// end tells the user to let go of a node that he holds. If he was not even told
// that he does, he is not told that either. It reports whether he held it.
func (h *holds) end(node string, lost bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[node]
	if n.phase != held {
		return false
	}
	if i := slices.IndexFunc(h.queue, func(c Change) bool { return c.Node == node }); i >= 0 {
		h.queue = slices.Delete(h.queue, i, i+1)
		h.nodes[node] = hold{released, n.revision}
		signal(h.wake)
		return true
	}
	h.nodes[node] = hold{ending, n.revision}
	h.push(Change{Node: node, Lost: lost, Revision: n.revision})
	return true
}

// release is the user's answer to end.
func (h *holds) release(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.nodes[node]; n.phase == ending {
		h.nodes[node] = hold{released, n.revision}
		signal(h.wake)
	}
}

// abandon answers for the user.
func (h *holds) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for node, n := range h.nodes {
		h.nodes[node] = hold{released, n.revision}
	}
	signal(h.wake)
}

// forget ends a hold that was released.
func (h *holds) forget(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nodes[node].phase == released {
		delete(h.nodes, node)
	}
}

// phases returns where the user is with each node.
func (h *holds) phases() map[string]phase {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := make(map[string]phase, len(h.nodes))
	for node, n := range h.nodes {
		m[node] = n.phase
	}
	return m
}

// in returns the nodes in one of the phases, in alphabetical order.
func (h *holds) in(phases ...phase) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	nodes := slices.Sorted(maps.Keys(h.nodes))
	return slices.DeleteFunc(nodes, func(n string) bool { return !slices.Contains(phases, h.nodes[n].phase) })
}

// push queues a change. The caller holds mu.
func (h *holds) push(c Change) {
	h.queue = append(h.queue, c)
	signal(h.more)
}

func (h *holds) pop() (Change, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return Change{}, false
	}
	c := h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	return c, true
}

// pump sends the changes to out until stop, and closes it.
func (h *holds) pump(out chan<- Change, stop <-chan struct{}) {
	defer close(out)
	for {
		c, ok := h.pop()
		if !ok {
			select {
			case <-h.more:
				continue
			case <-stop:
				return
			}
		}
		select {
		case out <- c:
		case <-stop:
			return
		}
	}
}
