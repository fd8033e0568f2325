package ami

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/internal/redact"
)

// An Observer is told of every action of a node, for what counters cannot tell:
// how long answers take. All else that there is to measure is in Stats, at no
// cost until somebody asks.
//
// ActionEnded is called once for each Send, Start and List of a Client or, for
// the node that was chosen, of a Cluster; also for an action whose own code panics,
// not for the library's own keepalives, or if no node was found. It runs on the goroutine of the caller before that gets the answer, for Start on
// one of its own, which Close waits for. It may be called by many goroutines at
// the same time, must return soon, and must not close what it observes. If it
// panics that is counted and logged; see Stats.ObserverPanics.
type Observer interface {
	ActionEnded(ctx context.Context, e ActionEnd)
}

// An ActionStarter is an Observer that is also told when an action begins, before
// anything is encoded or sent. ActionEnded gets the context that ActionStarted has
// returned, with a trace, say; the action itself goes on with that of its caller.
type ActionStarter interface {
	Observer
	ActionStarted(ctx context.Context, node, action string) context.Context
}

// An ActionEnd is what became of an action. It holds no header of it, and no
// secret.
type ActionEnd struct {
	Node     string
	Action   string // "" if its own Name panicked
	ActionID string // "" if the action was refused before it had one
	Sent     bool   // bytes may have reached Asterisk

	Started time.Time
	// Accepted is when Asterisk answered that it would do the action, if that
	// completes by an event later (an Originate with Async); else zero.
	Accepted time.Time
	Ended    time.Time

	Err error // what Send has returned; another one if the action's own code panicked
}

// WithObserver adds an observer; one that is an ActionStarter is used as such.
// Default: none, and then actions cost nothing more.
func WithObserver(o Observer) Option { return func(c *config) { c.observers = append(c.observers, o) } }

// An observation is one action under observation. A nil one is none.
type observation struct {
	client *Client
	ctx    context.Context //nolint:containedctx // the observers' own
	end    ActionEnd
}

// observe begins an observation if anybody wants it, and returns the name of the
// action: who asked for it once more, behind the begin, could meet a panic that
// ends no observation.
func (c *Client) observe(ctx context.Context, a action.Action) (o *observation, name string) {
	if len(c.cfg.observers) == 0 {
		return nil, a.Name()
	}
	o = &observation{client: c, ctx: ctx, end: ActionEnd{Node: c.node.Key, Started: time.Now()}}
	named := false
	defer func() {
		if !named { // Name has panicked, which goes on its way
			o.begin()
			o.tell(nil, errPanicked)
		}
	}()
	o.end.Action = a.Name()
	named = true
	o.begin()
	return o, o.end.Action
}

// begin tells that the action begins.
func (o *observation) begin() {
	for _, ob := range o.client.cfg.observers {
		if s, ok := ob.(ActionStarter); ok {
			o.guard(func() {
				if ctx := s.ActionStarted(o.ctx, o.end.Node, o.end.Action); ctx != nil {
					o.ctx = ctx
				}
			})
		}
	}
}

// beginObserved is begin under an observation, if there is one. The action's own code runs there; its panic, which goes on
// its way, ends the observation as well.
func (c *Client) beginObserved(ctx context.Context, o *observation, a action.Action, opts []SendOption, m mode) (*correlate.Pending, error) {
	if o == nil {
		return c.begin(ctx, a, opts, m)
	}
	returned := false
	defer func() {
		if !returned {
			o.tell(nil, errPanicked)
		}
	}()
	p, err := c.begin(ctx, a, opts, m)
	returned = true
	return p, err
}

var errPanicked = errors.New("ami: the action's own code panicked")

// tell ends the observation. p is nil if the action was refused.
func (o *observation) tell(p *correlate.Pending, err error) {
	if o == nil {
		return
	}
	o.end.Ended, o.end.Err = time.Now(), err
	if p != nil {
		o.end.ActionID, o.end.Sent, o.end.Accepted = p.ID, p.Sent, p.Accepted
	}
	for _, ob := range o.client.cfg.observers {
		o.guard(func() { ob.ActionEnded(o.ctx, o.end) })
	}
}

// tellLater ends the observation of an action that nobody may be waiting for.
func (o *observation) tellLater(p *correlate.Pending) {
	if o == nil {
		return
	}
	c := o.client
	wait := func() {
		<-p.Done()
		_, err := c.result(o.end.Action, p)
		o.tell(p, err)
	}
	c.mu.Lock()
	running := c.phase != over
	if running {
		c.observing.Go(wait)
	}
	c.mu.Unlock()
	if !running { // no session is left: it has ended, or is just about to
		wait()
	}
}

// guard runs an observer; its panic stays here.
func (o *observation) guard(run func()) {
	c := o.client
	defer func() {
		if v := recover(); v != nil && c.count.observerPanics.first() {
			c.log.Error(msgObserver, attrActionID, o.end.ActionID, attrPanic, redact.Panic(v), attrStack, string(debug.Stack()))
		}
	}()
	run()
}
