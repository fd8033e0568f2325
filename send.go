package ami

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/correlate"
	"github.com/apn/ami/strategy"
)

// A SendOption changes how one action is sent.
type SendOption func(*sendConfig)

type sendConfig struct {
	timeout  time.Duration
	wait     bool
	strategy *strategy.Strategy

	// For clusters; a node of its own has no choice.
	to      string
	named   bool // to was given
	byKey   string
	hashed  bool // byKey was given
	among   []string
	limited bool // among was given
}

// newSendConfig allocates nothing if there are no options.
func newSendConfig(opts []SendOption) sendConfig {
	if len(opts) == 0 {
		return sendConfig{}
	}
	var cfg sendConfig
	for _, o := range opts {
		o(&cfg)
	}
	return cfg
}

// Timeout bounds the answer instead of the strategy's or the client's limit. A
// value that is not positive is ignored.
func Timeout(d time.Duration) SendOption { return func(c *sendConfig) { c.timeout = d } }

// WaitForRoom makes a full outbound queue wait, until the context or the time for
// the answer ends, instead of failing at once with a *BackpressureError.
func WaitForRoom() SendOption { return func(c *sendConfig) { c.wait = true } }

// AnsweredAs completes the action as s says instead of its own strategy.
func AnsweredAs(s strategy.Strategy) SendOption { return func(c *sendConfig) { c.strategy = &s } }

// A Pending is an action under way. Its methods may be called from any
// goroutine.
type Pending struct {
	client *Client
	action string
	p      *correlate.Pending // nil if it was never sent
	err    error              // then
	done   chan struct{}      // then: closed
}

// Done is closed when the answer is complete or the action has failed.
func (p *Pending) Done() <-chan struct{} {
	if p.p == nil {
		return p.done
	}
	return p.p.Done()
}

// Result waits for Done and returns what Send would.
func (p *Pending) Result() (*Response, error) {
	if p.p == nil {
		return nil, p.err
	}
	<-p.p.Done()
	return p.client.result(p.action, p.p)
}

// ActionID returns the ActionID, "" if the action was not sent.
func (p *Pending) ActionID() string {
	if p.p == nil {
		return ""
	}
	return p.p.ID
}

// String returns the action's name and ActionID.
func (p *Pending) String() string { return p.action + " (" + p.ActionID() + ")" }

// Format makes every verb print what String returns: the bytes of the action may
// hold secrets.
func (p *Pending) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.String()) }

// Send sends an action and returns its whole answer, when the action's strategy
// is complete. It may be called from many goroutines.
//
// It returns at once with *NotReadyError, *BackpressureError,
// *frame.EncodeError, *action.InvalidError, *strategy.ValidationError or
// *ConfigError if the action cannot be sent: then nothing was. Later it returns *ActionError if
// Asterisk refused, *TimeoutError if time or ctx ended, *ConnError if the
// session died, *MissingResponseError, *TooManyMessagesError or *ProtocolError
// if the answer was not what it should be. SafeToRetry tells which of them are.
//
// Whatever happens, no trace of the action is left when Send has returned: an
// answer that comes later is counted and dropped.
func (c *Client) Send(ctx context.Context, a action.Action, opts ...SendOption) (*Response, error) {
	o, name := c.observe(ctx, a)
	p, err := c.beginObserved(ctx, o, a, opts, awaited)
	if err != nil {
		o.tell(nil, err)
		return nil, err
	}
	select {
	case <-p.Done():
	default:
		select {
		case <-p.Done():
		case <-ctx.Done():
			c.table.Abandon(p, context.Cause(ctx))
			<-p.Done()
		}
	}
	r, err := c.result(name, p)
	o.tell(p, err)
	return r, err
}

// Start is Send that does not wait. It always returns a Pending; one that could
// not be sent is done already. ctx bounds the whole answer.
func (c *Client) Start(ctx context.Context, a action.Action, opts ...SendOption) *Pending {
	o, name := c.observe(ctx, a)
	p, err := c.beginObserved(ctx, o, a, opts, started)
	if err != nil {
		o.tell(nil, err)
		done := make(chan struct{})
		close(done)
		return &Pending{client: c, action: name, err: err, done: done}
	}
	o.tellLater(p)
	return &Pending{client: c, action: name, p: p}
}

// List sends an action and yields the items of its answer as they come, without
// the event that ends it. An error comes last, with a nil frame. Leaving the
// loop early abandons the rest; ranging once more sends the action again. Items that have come and not been read are
// bounded by the strategy's MaxMessages. Those that Asterisk sends as one message
// with the end (strategy.Strategy.Merged) are one frame.
func (c *Client) List(ctx context.Context, a action.Action, opts ...SendOption) iter.Seq2[*frame.Frame, error] {
	return func(yield func(*frame.Frame, error) bool) {
		o, name := c.observe(ctx, a)
		p, err := c.beginObserved(ctx, o, a, opts, streamed)
		if err != nil {
			o.tell(nil, err)
			yield(nil, err)
			return
		}
		defer func() {
			c.table.Abandon(p, context.Canceled)
			<-p.Done()
			if o != nil {
				_, err := c.result(name, p)
				o.tell(p, err)
			}
		}()
		for ended := false; !ended; {
			select {
			case <-p.More:
			case <-p.Done():
				ended = true
			case <-ctx.Done():
				c.table.Abandon(p, context.Cause(ctx))
				<-p.Done()
				ended = true
			}
			for _, f := range c.table.Take(p) {
				if !yield(f, nil) {
					return
				}
			}
		}
		r, err := c.result(name, p)
		switch {
		case err != nil:
			yield(nil, err)
		case r.End != nil && p.Strategy.Merged && !isTerminal(&p.Strategy, r.End.Name()):
			yield(r.End, nil) // it begins with an item and has them all
		}
	}
}

func isTerminal(s *strategy.Strategy, event string) bool {
	return slices.ContainsFunc(s.Terminal, func(name string) bool { return strings.EqualFold(name, event) })
}

// scratch holds the headers of an action while it is encoded.
var scratch = sync.Pool{New: func() any { return new([]frame.Field) }}

// encode returns the bytes of a with the given ActionID.
func encode(a action.Action, id string, bare bool) ([]byte, error) {
	buf := scratch.Get().(*[]frame.Field)
	defer func() {
		clear((*buf)[:cap(*buf)]) // it may hold secrets
		scratch.Put(buf)
	}()
	name := a.Name()
	fields, err := a.AppendFields(append((*buf)[:0], frame.Field{Key: "ActionID", Value: id}))
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 || fields[0].Key != "ActionID" || fields[0].Value != id {
		return nil, &action.InvalidError{Action: name, Param: "AppendFields", Reason: "did not append to what it was given"}
	}
	*buf = fields[:0]
	for _, f := range fields[1:] {
		if strings.EqualFold(f.Key, "ActionID") {
			return nil, &action.InvalidError{Action: name, Param: "ActionID", Reason: "is set by the client: it must be unique"}
		}
	}
	out, err := frame.AppendAction(make([]byte, 0, 128+32*len(fields)), name, fields)
	if err == nil && bare {
		// The answer has no Response. Asterisk answers in order, so that of a
		// Ping right behind it, with the same ActionID, marks its end.
		out, err = frame.AppendAction(out, "Ping", fields[:1])
	}
	return out, err
}

// mode tells begin who waits for the answer.
type mode uint8

const (
	awaited  mode = iota // the caller, with its context
	started              // somebody else, later
	streamed             // the caller, item by item
)

// begin registers and queues an action.
func (c *Client) begin(ctx context.Context, a action.Action, opts []SendOption, m mode) (*correlate.Pending, error) {
	cfg := newSendConfig(opts)
	if ctx.Err() != nil {
		return nil, &TimeoutError{Node: c.node.Key, Action: a.Name(), Err: context.Cause(ctx)}
	}
	if cfg.named && cfg.to != c.node.Key {
		return nil, &NoNodeError{Key: cfg.to, Action: a.Name(), Nodes: 1}
	}
	how := a.Strategy()
	if cfg.strategy != nil {
		how = *cfg.strategy
	}
	if err := how.Validate(); err != nil {
		return nil, err
	}
	if c.cfg.onDemand && strings.EqualFold(a.Name(), "Events") {
		return nil, &ConfigError{Key: "EventsOnDemand", Value: "set", Reason: "the client keeps the event mask itself: subscribe to events instead of sending Events"}
	}
	if how.Kind == strategy.Async && strings.EqualFold(c.node.Events, "off") {
		return nil, &ConfigError{Key: "Node.Events", Node: c.node.Key, Value: "off", Reason: a.Name() + " completes by an event, and Asterisk sends none with this mask"}
	}
	events := c.main.session.Load()
	if events == nil || c.draining.Load() {
		return nil, c.notReady()
	}
	if how.Kind == strategy.Async && events.demand != nil && !events.demand.sends(how.Terminal) {
		return nil, &ConfigError{Key: "EventsOnDemand", Value: "set", Reason: a.Name() + " completes by an event that no subscription has asked Asterisk for: subscribe to it first"}
	}
	p := c.table.New(how)
	var err error
	if p.Bytes, err = encode(a, p.ID, how.Kind == strategy.Bare); err != nil {
		return nil, err
	}
	if m == streamed {
		p.More = make(chan struct{}, 1)
	}
	timeout := cfg.timeout
	if timeout <= 0 {
		timeout = how.Timeout
	}
	if timeout <= 0 {
		timeout = c.cfg.actionTimeout
	}
	p.Deadline = time.Now().Add(timeout)
	if how.Kind == strategy.Async {
		p.Events = events.epoch
	}
	// Its own time counts: a caller in a hurry does not make Asterisk faster.
	s := c.choose(events, a.Name(), p, max(timeout, how.Timeout))
	err = c.register(ctx, s, p, m)
	if s != events && errors.Is(err, correlate.ErrEnded) { // the lane was lost just now
		s = events
		s.hold(p, max(timeout, how.Timeout))
		err = c.register(ctx, s, p, m)
	}
	if err != nil {
		if errors.Is(err, correlate.ErrFull) {
			return nil, &BackpressureError{Node: c.node.Key, Queue: "pending actions", Depth: c.cfg.pendingLimit, Capacity: c.cfg.pendingLimit}
		}
		return nil, c.notReady()
	}
	if c.draining.Load() {
		// Shutdown may have looked before the action was in the table, found
		// nothing to wait for, and said good-bye.
		c.table.Abandon(p, ErrClosed)
		return nil, c.notReady()
	}
	if cfg.wait {
		err = s.conn.EnqueueWait(ctx, &p.Out, p.Done())
	} else {
		err = s.conn.Enqueue(&p.Out)
	}
	if err == nil {
		c.logAction(ctx, s, p)
		if m == started && ctx.Err() != nil {
			// It ended before the action was in the table and found nothing.
			c.table.Abandon(p, context.Cause(ctx))
		}
		return p, nil
	}
	// It never got into the queue. Whoever ended it first, its error is told.
	c.table.Abandon(p, err)
	<-p.Done()
	if errors.Is(p.Cause, conn.ErrFull) {
		entries, bytes := s.conn.Depth()
		return nil, &BackpressureError{Node: c.node.Key, Queue: "outbound queue", Depth: entries, Bytes: bytes, Capacity: c.cfg.queueEntries}
	}
	if ended := s.conn.Err(); ended != nil && ctx.Err() == nil {
		return nil, &ConnError{Node: c.node.Key, Addr: c.node.Addr, Lane: s.lane.index, Op: opSession, Err: c.cfg.redacted(ended)}
	}
	_, err = c.result(a.Name(), p)
	return nil, err
}

// register makes an action findable that leaves by s.
func (c *Client) register(ctx context.Context, s *session, p *correlate.Pending, m mode) error {
	p.Epoch, p.OnEnd = s.epoch, c.onEnd(ctx, s, p, m)
	err := s.lane.table.Add(p)
	if err != nil && p.OnEnd != nil {
		p.OnEnd(p)
	}
	return err
}

// onEnd returns what is to be done when p ends; for most actions nothing.
func (c *Client) onEnd(ctx context.Context, s *session, p *correlate.Pending, m mode) func(*correlate.Pending) {
	switch {
	case m == started: // nobody waits who would see ctx end
		forget := context.AfterFunc(ctx, func() { c.table.Abandon(p, context.Cause(ctx)) })
		return func(p *correlate.Pending) {
			forget()
			if p.Strategy.Blocking {
				s.holds.ended(p)
			}
		}
	case p.Strategy.Blocking:
		return s.holds.ended
	default:
		return nil
	}
}

// logAction shows a queued action at level Debug, without its secrets.
func (c *Client) logAction(ctx context.Context, s *session, p *correlate.Pending) {
	log := s.lane.log
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	f, err := frame.Parse(string(p.Bytes))
	if err != nil {
		return // it has just been encoded
	}
	depth, _ := s.conn.Depth()
	log.DebugContext(ctx, msgQueued, attrEpoch, s.epoch, attrActionID, p.ID, attrQueueDepth, depth,
		attrHeaders, c.cfg.redact.Headers(f.All()))
}

// result builds what Send returns from an action that has ended.
func (c *Client) result(name string, p *correlate.Pending) (*Response, error) {
	r := &Response{Node: c.node.Key, ActionID: p.ID, Frame: p.Response, Items: p.Items, End: p.End}
	if r.Frame == nil {
		r.Frame = emptyFrame
	}
	switch p.Verdict {
	case strategy.Done:
		return r, nil
	case strategy.PartialDone:
		r.Partial = true
		return r, nil
	case strategy.Refused:
		return nil, &ActionError{Node: c.node.Key, Action: name, ActionID: p.ID, Message: c.cfg.redact.Text(r.Message()), Response: r}
	case strategy.Missing:
		return nil, &MissingResponseError{Node: c.node.Key, Action: name, ActionID: p.ID, Response: r}
	case strategy.Overflow:
		limit := p.Strategy.MaxMessages
		if limit == 0 {
			limit = strategy.DefaultMaxMessages
		}
		return nil, &TooManyMessagesError{Node: c.node.Key, Action: name, ActionID: p.ID, Max: limit, Response: r}
	}
	if e, ok := errors.AsType[*sessionError](p.Cause); ok {
		return nil, &ConnError{Node: c.node.Key, Addr: c.node.Addr, Lane: e.lane, Op: opSession, Sent: p.Sent, Err: e.cause}
	}
	if e, ok := errors.AsType[*frame.FormatError](p.Cause); ok {
		return nil, &ProtocolError{Node: c.node.Key, Action: name, ActionID: p.ID, Err: e}
	}
	return nil, &TimeoutError{Node: c.node.Key, Action: name, ActionID: p.ID, Sent: p.Sent, Response: r, Err: p.Cause}
}

// sessionError marks the cause that a session gave its pending actions.
type sessionError struct {
	lane  int
	cause error
}

func (e *sessionError) Error() string { return e.cause.Error() }
