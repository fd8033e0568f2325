package bridge

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami"
)

// states are the latest of each node: for /nodes, and for the broker, if that
// keeps them. Only the newest of each is put there, by one goroutine.
type states struct {
	store StateStore // nil without one
	log   *slog.Logger

	mu    sync.Mutex
	nodes map[string]NodeState
	dirty map[string]bool // not in the store yet
	now   string          // the node whose state is being put
	fails bool            // the last attempt did
	put   chan struct{}   // closed when it is, then replaced
	more  chan struct{}   // one slot
}

func newStates(store StateStore, log *slog.Logger) *states {
	return &states{
		store: store, log: log, nodes: make(map[string]NodeState), dirty: make(map[string]bool),
		put: make(chan struct{}), more: make(chan struct{}, 1),
	}
}

// putPatience bounds one attempt to put a state.
const putPatience = 10 * time.Second

// stateOf is c as a NodeState, without an instance.
func stateOf(cl *ami.Cluster, c *ami.StateChange) NodeState {
	s := NodeState{Node: c.Node, State: c.To.String(), Epoch: c.Epoch, Since: c.At}
	if c.Reason != nil {
		s.Reason = c.Reason.Error()
	}
	if node, ok := cl.Node(c.Node); ok && c.To == ami.Ready {
		_, version, _ := strings.Cut(node.Stats().Banner, "/")
		s.Version = version
	}
	return s
}

func (s *states) set(n NodeState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[n.Node] = n
	s.dirty[n.Node] = true
	select {
	case s.more <- struct{}{}:
	default: // told already
	}
}

// settle waits until the store has the states of a node, "" for all, refuses one, or
// ctx ends: before the process ends, or another one, which puts the next states, may
// have the node.
func (s *states) settle(ctx context.Context, node string) {
	for s.store != nil {
		s.mu.Lock()
		open := s.dirty[node] || s.now == node
		if node == "" {
			open = len(s.dirty) > 0 || s.now != ""
		}
		if !open || s.fails {
			s.mu.Unlock()
			return
		}
		put := s.put
		s.mu.Unlock()
		select {
		case <-put:
		case <-ctx.Done():
			return
		}
	}
}

// forget drops a node that another process has now: it puts the states.
func (s *states) forget(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, node)
	delete(s.dirty, node)
}

// all returns the states by node.
func (s *states) all() []NodeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]NodeState, 0, len(s.nodes))
	for _, key := range slices.Sorted(maps.Keys(s.nodes)) {
		list = append(list, s.nodes[key])
	}
	return list
}

// next returns one that is not in the store.
func (s *states) next() (NodeState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for node := range s.dirty {
		delete(s.dirty, node)
		s.now = node
		return s.nodes[node], true
	}
	return NodeState{}, false
}

// done notes that a state was put. If it was not, that is tried again, unless there
// is a newer one.
func (s *states) done(n NodeState, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.nodes[n.Node]; ok && err != nil {
		s.dirty[n.Node] = true
	}
	s.now, s.fails = "", err != nil
	close(s.put)
	s.put = make(chan struct{})
}

// run puts states into the store until ctx ends.
func (s *states) run(ctx context.Context) {
	retry, failing := newRetry(), false
	for {
		n, ok := s.next()
		if !ok {
			select {
			case <-s.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		putting, cancel := context.WithTimeout(ctx, putPatience)
		err := s.store.PutState(putting, n)
		cancel()
		s.done(n, err)
		switch {
		case err == nil:
			failing = false
			retry.Reset()
		case ctx.Err() != nil:
			s.log.Warn("the last state of a node was not stored", "node", n.Node, "state", n.State, "error", err)
			return
		default:
			if !failing {
				s.log.Warn("states are not stored", "node", n.Node, "error", err)
			}
			failing = true
			if !pause(ctx, retry.NextBackOff()) {
				return
			}
		}
	}
}
