package ami

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/correlate"
)

// A Client holds the connection to one Asterisk server: it logs in, keeps the
// session alive, and makes the next one when it dies. All of its methods may be
// called from any goroutine.
//
// It runs three goroutines while it is up (supervisor, reader, writer), one
// while it waits for the next attempt, as many again for each action lane, and
// one more that dispatches events once there is a subscription. Close and
// Shutdown wait for all of them.
//
// A Client that a Cluster has made is run by it: Run returns ErrClosed, and
// Close and Shutdown take the node out of the cluster, as Cluster.Remove does.
// One dispatcher serves all nodes of the cluster.
type Client struct {
	// Immutable.
	node       Node
	host, port string
	cfg        *config // shared with the other nodes of the cluster
	log        *slog.Logger
	table      *correlate.Table
	hub        *hub
	feed       *feed
	state      *stateBox
	cluster    *Cluster // nil for a client on its own, which owns its hub

	main  lane    // that of the events; the node is up when it is
	lanes []*lane // for actions, if WithActionLanes says so; lane n is at n-1

	running   sync.WaitGroup // supervisors of lanes
	observing sync.WaitGroup // who waits for actions of Start, for the observers

	// Set by Shutdown: no more actions are taken.
	draining atomic.Bool
	// Set by who takes the node out of its cluster.
	removed atomic.Bool
	// Set at each login: what SecretFunc gave.
	secret atomic.Pointer[Secret]

	count  counters
	epochs atomic.Uint64 // sessions so far, of all lanes
	lookup *lookup       // nil if there is nothing to look up

	// Owned by the supervisor of the main lane, and by its reader while there is
	// one, which the supervisor starts and waits for.
	sequence uint64

	// Callers: actions for which Asterisk holds a session choose their lane one
	// after the other.
	choosing sync.Mutex

	events  sync.Once
	eventsS *Subscription

	mu     sync.Mutex
	phase  phase
	cancel context.CancelCauseFunc // of Run; nil before
	done   chan struct{}           // closed when Run has returned, or will never be called
	grace  <-chan struct{}         // set by Shutdown: until then consumers may take what is buffered
}

type phase uint8

const (
	fresh phase = iota
	running
	over
)

// New checks node and options and returns a Client that does nothing yet: no
// I/O, no goroutine. The error is a *ConfigError, or all of them joined. Call Run,
// and subscribe before that to see the first event.
func New(n Node, opts ...Option) (*Client, error) {
	cfg, errs := newConfig(opts)
	for _, option := range cfg.fleet.set {
		errs = append(errs, &ConfigError{Key: option, Value: "set", Reason: "is for NewCluster: a client on its own has no use for it"})
	}
	c, bad := newClient(n, cfg, nil)
	if errs = append(errs, bad...); len(errs) > 0 {
		return nil, join(errs)
	}
	c.hub = newHub(cfg)
	c.feed = c.hub.join(n.Key, cfg.eventQueue, 1)
	return c, nil
}

// newClient makes what a client on its own and one of a cluster have in common.
// Hub and feed are still to be set.
func newClient(n Node, cfg *config, cl *Cluster) (*Client, []*ConfigError) {
	host, port, errs := n.check(cfg)
	if len(errs) > 0 {
		return nil, errs
	}
	c := &Client{
		node: n, host: host, port: port, cfg: cfg, cluster: cl,
		log:   cfg.logger.With(attrServerKey, n.Key),
		table: correlate.NewTable(n.Key, correlate.NewInstance(), cfg.pendingLimit),
		done:  make(chan struct{}),
	}
	var states *stateBox
	if cl != nil {
		states = cl.states
	}
	c.state = newStateBox(n.Key, stateKept, states)
	c.state.now.LanesDown = cfg.actionLanes
	c.main.open(c, 0)
	for i := range cfg.actionLanes {
		l := new(lane)
		l.open(c, i+1)
		c.lanes = append(c.lanes, l)
	}
	if _, err := netip.ParseAddr(host); err != nil && (cfg.dial == nil || cfg.resolver != nil) {
		c.lookup = &lookup{resolver: cfg.resolver}
		if cfg.resolver == nil {
			c.lookup.resolver = net.DefaultResolver
		}
	}
	return c, nil
}

// Dial is New, Run in the background, and waiting for the first login, and for
// the first attempt of each action lane, all within ctx, which bounds this call
// only. It returns a *ConfigError if New
// would. If the first attempt fails it returns its error, a *ConnError, and if
// ctx ends first a *NotReadyError, and leaves nothing behind. A lane that cannot
// log in is no error. To wait for a
// server that is not up yet use New, Run and Ready. Close or Shutdown ends what
// Dial has started.
func Dial(ctx context.Context, n Node, opts ...Option) (*Client, error) {
	c, err := New(n, opts...)
	if err != nil {
		return nil, err
	}
	// Run owns its context from here on: Close ends it and waits.
	go func() { _ = c.Run(context.WithoutCancel(ctx)) }() // it returns nil: it runs once
	select {
	case <-c.main.first:
		err = c.main.verdict
	case <-ctx.Done():
		err = &NotReadyError{Node: n.Key, State: c.State(), Err: context.Cause(ctx)}
	}
	if err != nil {
		_ = c.Close() // always nil
		return nil, err
	}
	for _, l := range c.lanes {
		select {
		case <-l.first:
		case <-ctx.Done():
		case <-c.done:
		}
	}
	return c, nil
}

// Run keeps the node connected until ctx ends or the client is closed, and
// returns nil then: a clean end is no error, so that it fits an errgroup. It
// returns ErrClosed if the client runs already or has ended. When Run has
// returned, every goroutine of the client has ended and every pending action
// has failed; only a SecretFunc, TLSFunc or Resolver that ignores its context may
// be left behind.
func (c *Client) Run(ctx context.Context) error {
	if c.cluster != nil {
		return ErrClosed
	}
	ctx, err := c.claim(ctx)
	if err != nil {
		return err
	}
	c.hub.start()
	c.run(ctx)
	return nil
}

// claim takes the one run that a client has. From here on whoever ends the
// client cancels the context that it returns, and waits for run.
func (c *Client) claim(ctx context.Context) (context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != fresh {
		cancel(nil)
		return nil, ErrClosed
	}
	c.phase, c.cancel = running, cancel
	return ctx, nil
}

func (c *Client) run(ctx context.Context) {
	defer c.cancel(nil)
	c.runLanes(ctx)
	c.main.supervise(ctx)
	c.running.Wait()
	c.logClosed(context.Cause(ctx))
	c.finish()
}

// runLanes is a function of its own for the sake of the supervisor's stack; see
// newRetry.
func (c *Client) runLanes(ctx context.Context) {
	for _, l := range c.lanes {
		c.running.Go(func() { l.supervise(ctx) })
	}
}

// finish ends what outlives sessions.
func (c *Client) finish() {
	c.mu.Lock()
	c.phase = over
	grace := c.grace
	c.mu.Unlock()
	c.draining.Store(true)
	removed := c.removed.Load()
	if removed {
		c.pushEnd(ErrRemoved)
	}
	c.hub.leave(c.feed, grace)
	if c.cluster == nil {
		c.hub.stop(grace)
	} else if removed {
		c.cluster.forget(c)
	}
	c.observing.Wait() // no session is left, and no action pending
	c.state.finish()
	close(c.done)
}

// Ready waits until the node is logged in and each action lane has been tried
// once, so that actions take their lanes; one that cannot log in is not waited
// for. It returns a *NotReadyError with the last failure when ctx ends before the
// node takes actions, or with ErrClosed when the client does.
func (c *Client) Ready(ctx context.Context) error {
	var last error
	for {
		now, changed, over := c.state.get()
		up := now.To == Ready && c.main.session.Load() != nil
		if up && c.lanesTried() {
			return nil
		}
		if now.Reason != nil {
			last = now.Reason
		}
		if over {
			return &NotReadyError{Node: c.node.Key, State: now.To, Err: ErrClosed}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if up {
				return nil
			}
			if last == nil {
				last = context.Cause(ctx)
			}
			return &NotReadyError{Node: c.node.Key, State: c.State(), Err: last}
		}
	}
}

// takesActions reports whether an action sent now would be taken.
func (c *Client) takesActions() bool { return c.main.session.Load() != nil && !c.draining.Load() }

// settled reports in addition that every lane has been tried.
func (c *Client) settled() bool { return c.takesActions() && c.lanesTried() }

// lanesTried reports whether no action lane has its first attempt before it.
func (c *Client) lanesTried() bool {
	return !slices.ContainsFunc(c.lanes, func(l *lane) bool { return !l.wasTried() })
}

// String returns the key and the address of the node.
func (c *Client) String() string { return c.node.String() }

// Format makes every verb print what String returns.
func (c *Client) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// Node returns the node without its secret and its SecretFunc.
func (c *Client) Node() Node {
	n := c.node
	n.Secret, n.SecretFunc = Secret{}, nil
	return n
}

// State returns the current state.
func (c *Client) State() State {
	now, _, _ := c.state.get()
	return now.To
}

// StateChanges yields every change of state from the call of StateChanges on,
// until ctx or the client ends. A watcher that is more than 16 changes behind
// loses the oldest and is told how many.
func (c *Client) StateChanges(ctx context.Context) iter.Seq[StateChange] {
	return c.state.watch(ctx, c.state.number())
}

// Events returns the channel of a subscription to all events with default
// settings, made at the first call. What happened before that is not in it.
func (c *Client) Events() <-chan event.Event {
	c.events.Do(func() { c.eventsS = c.Subscribe() })
	return c.eventsS.C()
}

// Subscribe makes a subscription to all events, or to those that the options
// let through. It begins with the call: what was received before is not in it.
// It may be called before Run and is closed with the client.
func (c *Client) Subscribe(opts ...SubOption) *Subscription { return c.hub.subscribe(c.feed, opts) }

// Close ends the client at once: pending actions fail, subscriptions end. It
// waits for every goroutine, may be called again, and returns nil. It cuts short
// the time that a Shutdown under way gives receivers. Do not call it from what
// it waits for: a predicate of a subscription, a log handler, a dialer.
func (c *Client) Close() error {
	c.feed.hurry() // a Shutdown that is under way waits for no receivers any more
	c.close()
	return nil
}

func (c *Client) close() {
	cause := ErrClosed
	if c.cluster != nil {
		c.removed.Store(true)
		cause = ErrRemoved
	}
	c.end(cause)
}

// end is Close with its cause.
func (c *Client) end(cause error) {
	c.mu.Lock()
	switch c.phase {
	case fresh:
		c.phase = over
		c.mu.Unlock()
		c.finish()
		return
	case running:
		c.cancel(cause)
	}
	c.mu.Unlock()
	<-c.done
}

// notReady is why no action is taken now.
func (c *Client) notReady() error {
	now, _, over := c.state.get()
	e := &NotReadyError{Node: c.node.Key, State: now.To, Err: now.Reason}
	switch {
	case over || c.draining.Load():
		e.Err = ErrClosed
	case e.State == Ready:
		// The session has just ended, or come up just now; the action would
		// have met the old one.
		e.State = Disconnected
	}
	return e
}
