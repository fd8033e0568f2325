package bridge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/lease"
)

// leases add nodes to the cluster as this process gets them, and take them out as
// it has to let go of them.
type leases struct {
	cluster   *ami.Cluster
	keeper    *lease.Keeper
	fencer    Fencer // nil: the broker has no fence
	journal   *journal
	publisher *publisher
	states    *states
	nodes     map[string]ami.Node
	log       *slog.Logger

	mu   sync.Mutex
	held map[string]*tenure
}

// A tenure is the time of one lease.
type tenure struct {
	node   string
	cancel context.CancelFunc
	fenced chan string // one slot: the instance that another process has fenced
	gone   chan struct{}
}

const (
	// letGoMost bounds how long the node's answers, and then its records, are
	// waited for before another process may have it.
	letGoMost = 5 * time.Second
	// refenceAfter is how often a holder that was fenced looks whether it still is
	// one.
	refenceAfter = time.Second
)

// newLeases takes the nodes out of the cluster until leases bring them. It returns
// nil without leases.
func (b *Bridge) newLeases(w *work) (*leases, error) {
	o := &b.options
	if o.Leases == nil {
		return nil, nil
	}
	l := &leases{
		cluster: b.cluster, keeper: o.Leases, journal: w.journal, publisher: w.publisher, states: b.states,
		log: o.Logger, nodes: make(map[string]ami.Node), held: make(map[string]*tenure),
	}
	l.fencer, _ = b.broker.(Fencer)
	keys := make([]string, len(o.Nodes))
	for i, n := range o.Nodes {
		keys[i], l.nodes[n.Key] = n.Key, n
	}
	if err := l.keeper.SetNodes(keys); err != nil {
		return nil, err
	}
	for key := range b.cluster.Nodes() {
		if err := b.cluster.Remove(context.Background(), key); err != nil && !errors.Is(err, ami.ErrNoNode) {
			return nil, err
		}
	}
	return l, nil
}

// run keeps the leases until ctx ends and all nodes have been let go of.
func (l *leases) run(ctx, last context.Context) error {
	var keeping, letting sync.WaitGroup
	var err error
	keeping.Go(func() { err = l.keeper.Run(ctx) })
	for c := range l.keeper.Changes() {
		if c.Held {
			l.gain(last, c.Node)
			continue
		}
		if t := l.drop(c.Node); t != nil {
			letting.Go(func() {
				l.letGo(last, t, c.Lost)
				l.keeper.Release(t.node)
			})
		}
	}
	keeping.Wait()
	for node := range l.nodes { // those of a keeper that ended for another reason
		if t := l.drop(node); t != nil {
			letting.Go(func() { l.letGo(last, t, true) })
		}
	}
	letting.Wait()
	if left, ok := errors.AsType[*lease.LeaveError](err); ok && ctx.Err() != nil {
		l.log.Warn("not all leases could be given back: others take over when they have run out", "error", left)
		err = nil
	}
	return err
}

// gain begins a tenure.
func (l *leases) gain(ctx context.Context, node string) {
	ctx, cancel := context.WithCancel(ctx)
	t := &tenure{node: node, cancel: cancel, fenced: make(chan string, 1), gone: make(chan struct{})}
	l.mu.Lock()
	l.held[node] = t
	l.mu.Unlock()
	go func() {
		defer close(t.gone)
		l.hold(ctx, t)
	}()
}

// drop ends a tenure, but for what letGo does.
func (l *leases) drop(node string) *tenure {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.held[node]
	delete(l.held, node)
	return t
}

// hold brings the node into the cluster and fences it anew whenever that is
// needed, until ctx ends.
func (l *leases) hold(ctx context.Context, t *tenure) {
	select { // what an earlier instance has left has its token, which the fence ends
	case <-l.publisher.caughtUp:
	case <-ctx.Done():
		return
	}
	instance, ok := l.fence(ctx, t.node)
	if !ok {
		return
	}
	l.log.Info("node is held", "node", t.node, "instance", instance)
	for retry := newRetry(); ; {
		err := l.cluster.Add(l.nodes[t.node])
		if err == nil {
			break
		}
		l.log.Error("a node that is held cannot be added", "node", t.node, "error", err)
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case fenced := <-t.fenced:
			if fenced != instance || !l.stillHeld(ctx, t.node) {
				continue // that of an earlier token, or the tenure is over
			}
			if instance, ok = l.fence(ctx, t.node); !ok {
				return
			}
			l.log.Warn("node is taken back", "node", t.node, "instance", instance)
		}
	}
}

// stillHeld waits until it is known that the node is held now. Else this happens:
// the leases are out of this process's reach, another one gets the node and fences
// it; this one does not know, takes it back, and so on, for ever.
func (l *leases) stillHeld(ctx context.Context, node string) bool {
	for since := time.Now(); pause(ctx, refenceAfter); {
		if l.keeper.Proved().After(since) && slices.Contains(l.keeper.Held(), node) {
			return true
		}
	}
	return false
}

// fence tells of the takeover and opens a hold with the token that it got.
func (l *leases) fence(ctx context.Context, node string) (instance string, ok bool) {
	instance = l.journal.newInstance()
	if l.fencer == nil {
		l.journal.admit(node, instance, 0, false)
		return instance, true
	}
	retry := newRetry()
	for {
		token, err := l.fencer.Fence(ctx, Takeover{Node: node, Instance: instance, Time: time.Now()})
		if err == nil {
			l.journal.admit(node, instance, token, true)
			return instance, true
		}
		if ctx.Err() != nil {
			return "", false
		}
		l.log.Warn("a takeover cannot be told yet", "node", node, "error", err)
		if !pause(ctx, retry.NextBackOff()) {
			return "", false
		}
	}
}

// fenced tells the tenure of a node that its records are refused.
func (l *leases) fenced(node, instance string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.held[node]; t != nil {
		select {
		case <-t.fenced: // that of an earlier token, of which nothing is wanted any more
		default:
		}
		t.fenced <- instance // there is room: nobody else sends, under mu
	}
}

// letGo takes a node out of the cluster. Unless another process has it already,
// what was received from it is published before that.
func (l *leases) letGo(ctx context.Context, t *tenure, lost bool) {
	t.cancel()
	<-t.gone
	ctx, cancel := context.WithTimeout(ctx, letGoMost)
	defer cancel()
	h := l.journal.holdOf(t.node)
	if err := l.cluster.Remove(ctx, t.node); err != nil && !errors.Is(err, ami.ErrNoNode) {
		l.log.Warn("answers of a node were cut short", "node", t.node, "error", err)
	}
	defer l.states.forget(t.node)
	if h == nil {
		return // it never got that far
	}
	select {
	case <-h.over: // its final gap is in the journal
	case <-ctx.Done():
	}
	seq := l.journal.release(h)
	if !lost {
		l.states.set(NodeState{
			Node: t.node, Instance: h.instance, State: ami.Disconnected.String(), Epoch: h.epoch, Since: time.Now(),
			Reason: "the node was let go of",
		})
		if !l.publisher.await(ctx, h.group, seq) {
			l.log.Warn("a node was let go of before all of its records were published", "node", t.node)
		}
		l.states.settle(ctx, t.node)
	}
	l.log.Info("node was let go of", "node", t.node)
}
