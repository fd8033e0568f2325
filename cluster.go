package ami

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/apn/ami/event"
)

// A Cluster holds the connections to many Asterisk servers as if they were one:
// it routes actions to nodes that are ready, merges their events so that none
// starves the others, and limits how many connect at the same time. All of its
// methods may be called from any goroutine.
//
// Each node is a Client with goroutines, queues, breaker and pending actions of
// its own; one goroutine dispatches the events of all. Close and Shutdown wait
// for all goroutines.
type Cluster struct {
	// Immutable.
	cfg     *config
	log     *slog.Logger
	hub     *hub
	permits *semaphore.Weighted // for connecting; first come first served
	states  *stateBox           // the changes of all nodes
	done    chan struct{}       // closed when Run has returned, or will never be called

	members atomic.Pointer[members] // copied on write, under mu

	events  sync.Once
	eventsS *Subscription

	mu      sync.Mutex
	phase   phase
	closing bool            // set by Shutdown: no more nodes
	ctx     context.Context //nolint:containedctx // of Run, for the nodes that Add brings; nil before
	cancel  context.CancelCauseFunc
	running sync.WaitGroup  // the supervisors of the nodes
	grace   <-chan struct{} // set by Shutdown: until then consumers may take what is buffered
}

// members are the nodes of a cluster at one time, immutable.
type members struct {
	list  []*Client // in the order of Add
	byKey map[string]*Client
}

// NewCluster checks nodes and options and returns a Cluster that does nothing
// yet: no I/O, no goroutine. The options hold for every node. The error is a
// *ConfigError, or all of them joined: a node or option is wrong, a key occurs
// twice, or there is no node. Call Run, and subscribe before that to see the
// first event.
func NewCluster(nodes []Node, opts ...Option) (*Cluster, error) {
	cfg, err := check(nodes, opts)
	if err != nil {
		return nil, err
	}
	if cfg.fleet.home != "" {
		cfg.fleet.router = defaultNode(cfg.fleet.home)
	}
	if cfg.fleet.router == nil {
		cfg.fleet.router = RoundRobin()
	}
	cl := &Cluster{
		cfg: cfg, log: cfg.logger,
		hub:     newHub(cfg),
		permits: semaphore.NewWeighted(int64(cfg.fleet.permits)),
		states:  newStateBox("", clusterStateKept, nil),
		done:    make(chan struct{}),
	}
	cl.members.Store(&members{byKey: map[string]*Client{}})
	for _, n := range nodes {
		if err := cl.Add(n); err != nil {
			return nil, err
		}
	}
	return cl, nil
}

// Run keeps all nodes connected until ctx ends or the cluster is closed, and
// returns nil then: a clean end is no error, so that it fits an errgroup. It
// returns ErrClosed if the cluster runs already or has ended. When Run has
// returned, every goroutine of the cluster has ended and every pending action
// has failed; only a SecretFunc, TLSFunc or Resolver that ignores its context may
// be left behind.
func (cl *Cluster) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cl.mu.Lock()
	if cl.phase != fresh {
		cl.mu.Unlock()
		return ErrClosed
	}
	cl.phase, cl.ctx, cl.cancel = running, ctx, cancel
	cl.hub.start()
	for _, c := range cl.members.Load().list {
		cl.start(c)
	}
	cl.mu.Unlock()

	<-ctx.Done()
	cl.finish()
	return nil
}

// start runs the supervisor of a node. The caller holds mu.
func (cl *Cluster) start(c *Client) {
	// Claimed here and not on its goroutine: a Remove or Close that comes before
	// that runs must find somebody to wait for.
	ctx, err := c.claim(cl.ctx)
	if err != nil {
		return // it was removed first
	}
	cl.running.Go(func() { c.run(ctx) })
}

// finish ends what outlives the nodes.
func (cl *Cluster) finish() {
	cl.mu.Lock()
	cl.phase = over // no more nodes from here on
	grace := cl.grace
	cl.mu.Unlock()
	cl.running.Wait()
	cl.hub.stop(grace)
	cl.states.finish()
	close(cl.done)
}

// Add brings in one more node, at any time; while the cluster runs it connects
// at once. It returns a *ConfigError, or several joined, if the node is wrong or
// its key is in use, also by a node that is still being removed, and ErrClosed after the end.
func (cl *Cluster) Add(n Node) error {
	c, errs := newClient(n, cl.cfg, cl)
	if len(errs) > 0 {
		return join(errs)
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.phase == over || cl.closing {
		return ErrClosed
	}
	old := cl.members.Load()
	if old.byKey[n.Key] != nil {
		return n.taken()
	}
	weight := max(cl.cfg.fleet.weights[n.Key], 1)
	c.hub, c.feed = cl.hub, cl.hub.join(n.Key, cl.cfg.eventQueue, weight)
	cl.members.Store(old.with(c))
	if cl.phase == running {
		cl.start(c)
	}
	return nil
}

// Remove takes a node out: it takes no more actions from the call on, and when
// its pending actions have their answers, or ctx ends, it logs off and closes.
// Subscriptions get a final gap for the node, those to it alone end, and the
// other nodes do not notice. Remove waits for all of that. It returns the cause
// of ctx if that cut answers short, a *NoNodeError if there is no such node, and
// ErrClosed if the cluster ended first. Before Run there is nobody to deliver the
// gap to subscriptions to the node alone: they just end.
func (cl *Cluster) Remove(ctx context.Context, key string) error {
	c, ok := cl.Node(key)
	if !ok {
		return cl.noNode(key, "")
	}
	err := c.Shutdown(ctx)
	if now, _ := cl.Node(key); err == nil && now == c {
		return ErrClosed // it ended with the cluster, not by this call
	}
	return err
}

// forget takes a node that has been closed out of the registry.
func (cl *Cluster) forget(c *Client) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.members.Store(cl.members.Load().without(c))
	cl.states.wake() // Ready may have waited for this one
}

// Node returns the client of one node, for actions, events, state and
// statistics of that node.
func (cl *Cluster) Node(key string) (*Client, bool) {
	c, ok := cl.members.Load().byKey[key]
	return c, ok
}

// Nodes yields the nodes of this moment in the order in which they came.
func (cl *Cluster) Nodes() iter.Seq2[string, *Client] {
	list := cl.members.Load().list
	return func(yield func(string, *Client) bool) {
		for _, c := range list {
			if !yield(c.node.Key, c) {
				return
			}
		}
	}
}

// String returns the number of nodes.
func (cl *Cluster) String() string {
	return fmt.Sprintf("cluster of %d nodes", len(cl.members.Load().list))
}

// Format makes every verb print what String returns.
func (cl *Cluster) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, cl.String()) }

// States returns the state of every node by key.
func (cl *Cluster) States() map[string]State {
	list := cl.members.Load().list
	states := make(map[string]State, len(list))
	for _, c := range list {
		states[c.node.Key] = c.State()
	}
	return states
}

// StateChanges yields every change of state of every node from the call of
// StateChanges on, until ctx or the cluster ends. A watcher that is more than
// 4,096 changes behind loses the oldest and is told how many.
func (cl *Cluster) StateChanges(ctx context.Context) iter.Seq[StateChange] {
	return cl.states.watch(ctx, cl.states.number())
}

// Ready waits until at least least nodes take actions, all of them if least is
// 0 or less, and have tried each of their action lanes once. It returns a *NoNodeError with the last failure of a node when ctx
// ends first, or with ErrClosed when the cluster does.
func (cl *Cluster) Ready(ctx context.Context, least int) error {
	var last error
	for {
		now, changed, over := cl.states.get() // before the count: a change in between closes it
		if now.Reason != nil {
			last = now.Reason
		}
		e := cl.shortage(least, (*Client).settled)
		switch {
		case over:
			return &NoNodeError{Want: max(least, 0), Nodes: len(cl.members.Load().list), Err: ErrClosed}
		case e == nil:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if e = cl.shortage(least, (*Client).takesActions); e == nil {
				return nil
			}
			if e.Err = last; last == nil {
				e.Err = context.Cause(ctx)
			}
			return e
		}
	}
}

// shortage returns nil if at least least nodes are ready.
func (cl *Cluster) shortage(least int, isReady func(*Client) bool) *NoNodeError {
	list := cl.members.Load().list
	if least <= 0 {
		least = len(list)
	}
	ready := 0
	for _, c := range list {
		if isReady(c) {
			ready++
		}
	}
	if ready >= least {
		return nil
	}
	return &NoNodeError{Ready: ready, Want: least, Nodes: len(list)}
}

// Events returns the channel of a subscription to all events of all nodes with
// default settings, made at the first call. What happened before that is not in
// it.
func (cl *Cluster) Events() <-chan event.Event {
	cl.events.Do(func() { cl.eventsS = cl.Subscribe() })
	return cl.eventsS.C()
}

// Subscribe makes a subscription to the events of all nodes, of those too that
// come later, or to what the options let through. It begins with the call: what
// was received before is not in it. It may be called before Run and is closed
// with the cluster. For a subscription that ends with its node
// use that of the node's Client.
func (cl *Cluster) Subscribe(opts ...SubOption) *Subscription { return cl.hub.subscribe(nil, opts) }

// Shutdown ends the cluster gracefully: every node takes no more actions, waits
// for its answers and logs off, all at the same time; receivers of
// subscriptions may take what is buffered (for 5 s at most); and all closes,
// until ctx ends. It returns the cause of ctx if that cut answers short;
// everything has ended in any case. It may be called together with Close and
// again.
func (cl *Cluster) Shutdown(ctx context.Context) error {
	cl.mu.Lock()
	cl.closing = true
	cl.mu.Unlock()
	list := cl.members.Load().list // all there will be
	errs := make([]error, len(list))
	var quiet sync.WaitGroup
	for i, c := range list {
		quiet.Go(func() { errs[i] = c.quiesce(ctx) })
	}
	quiet.Wait()
	grace, cancel := context.WithTimeout(ctx, graceMost) // from here on: the last node may have taken long
	defer cancel()
	for _, c := range list {
		c.setGrace(grace.Done())
	}
	cl.mu.Lock()
	cl.grace = grace.Done()
	cl.mu.Unlock()
	cl.close()
	for _, err := range errs {
		if err != nil {
			return err // the cause of ctx, for all of them
		}
	}
	return nil
}

// Close ends the cluster at once: pending actions fail, subscriptions end. It
// waits for every goroutine, may be called again, and returns nil. It cuts short
// the time that a Shutdown or Remove under way gives receivers. Do not call it
// from what it waits for: a predicate of a subscription, a log handler, a
// dialer.
func (cl *Cluster) Close() error {
	cl.hub.hurry() // a Shutdown or Remove that is under way waits for no receivers any more
	cl.close()
	return nil
}

func (cl *Cluster) close() {
	cl.mu.Lock()
	switch cl.phase {
	case fresh:
		cl.phase = over
		cl.mu.Unlock()
		for _, c := range cl.members.Load().list {
			c.end(ErrClosed)
		}
		cl.finish()
		return
	case running:
		cl.cancel(ErrClosed)
	}
	cl.mu.Unlock()
	<-cl.done
}

func (cl *Cluster) noNode(key, action string) error {
	return &NoNodeError{Key: key, Action: action, Nodes: len(cl.members.Load().list)}
}

func (m *members) with(c *Client) *members {
	next := &members{list: make([]*Client, 0, len(m.list)+1), byKey: make(map[string]*Client, len(m.list)+1)}
	next.list = append(append(next.list, m.list...), c)
	for _, c := range next.list {
		next.byKey[c.node.Key] = c
	}
	return next
}

func (m *members) without(gone *Client) *members {
	next := &members{byKey: make(map[string]*Client, len(m.list))}
	for _, c := range m.list {
		if c != gone {
			next.list = append(next.list, c)
			next.byKey[c.node.Key] = c
		}
	}
	return next
}

var errNotChosen = errors.New("the router chose none of the nodes that are ready")
