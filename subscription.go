package ami

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/event"
)

// A SubOption narrows a Subscription or sets its buffer.
type SubOption func(*subConfig)

type subConfig struct {
	names  []string
	nodes  []string
	where  func(event.Event) bool
	buffer int
	policy dropPolicy
	wait   time.Duration
}

type dropPolicy uint8

const (
	dropOldest dropPolicy = iota
	dropNewest
	dropLate
)

// Named delivers only events of these names, whatever the case. Gaps always
// come.
func Named(names ...string) SubOption {
	return func(c *subConfig) { c.names = append(c.names, names...) }
}

// FromNode delivers only what these nodes send.
func FromNode(keys ...string) SubOption {
	return func(c *subConfig) { c.nodes = append(c.nodes, keys...) }
}

// Where delivers only events for which match returns true. It is called on the
// dispatcher's goroutine, for every event that passes the other filters, and
// must be quick and never block. If it panics the event is taken for no match,
// and the panic is logged and counted.
func Where(match func(event.Event) bool) SubOption {
	return func(c *subConfig) { c.where = match }
}

// Buffer sets how many events may wait for the subscriber. Default 10,000; a
// value out of 2 to 1,000,000 is set to the nearer of them. The memory is taken
// on demand.
func Buffer(n int) SubOption { return func(c *subConfig) { c.buffer = n } }

// DropOldest makes a full buffer drop its oldest event for a new one. It is the
// default.
func DropOldest() SubOption { return func(c *subConfig) { c.policy = dropOldest } }

// DropNewest makes a full buffer refuse new events.
func DropNewest() SubOption { return func(c *subConfig) { c.policy = dropNewest } }

// BlockUpTo lets an event that finds the buffer full wait up to d for room in a
// waiting area as large as the buffer; then it is dropped. Nothing else waits
// with it: neither the node nor another subscription.
func BlockUpTo(d time.Duration) SubOption {
	return func(c *subConfig) { c.policy, c.wait = dropLate, max(d, 0) }
}

// A Subscription delivers events in the order in which each node sent them. It
// survives reconnects; a Gap tells of each. It never slows a node down: when
// its buffer is full it drops events, counts them, and the next one tells how
// many were lost before it (Event.Lost).
//
// Use either C or All, from as many goroutines as you like; they share the
// events among them. All methods may be called from any goroutine.
type Subscription struct {
	cfg  subConfig
	hub  *hub
	feed *feed // the one node it belongs to and ends with; nil: all of the hub

	ready  chan struct{} // hub → consumers, one slot: the buffer is not empty
	closed chan struct{} // closed by Close
	ended  chan struct{} // closed by the hub: no more events will come

	closeOnce sync.Once
	endOnce   sync.Once
	pumpOnce  sync.Once
	pumping   atomic.Bool      // C is in use
	pumped    chan struct{}    // closed by the pump when it ends
	out       chan event.Event // pump → receivers, closed by the pump

	dropped atomic.Uint64

	mu     sync.Mutex
	buffer mailbox
}

// subscribe makes a subscription to one node of the hub, or to all if f is nil.
func (h *hub) subscribe(f *feed, opts []SubOption) *Subscription {
	cfg := subConfig{buffer: 10_000}
	for _, o := range opts {
		o(&cfg)
	}
	cfg.buffer = min(max(cfg.buffer, 2), 1_000_000)
	s := &Subscription{
		cfg: cfg, hub: h, feed: f,
		ready: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{}),
		out: make(chan event.Event, 1), pumped: make(chan struct{}),
	}
	s.buffer = newMailbox(cfg)
	h.add(s)
	return s
}

// hears reports whether the events of a node concern the subscription at all.
func (s *Subscription) hears(f *feed) bool {
	return (s.feed == nil || s.feed == f) && (len(s.cfg.nodes) == 0 || slices.Contains(s.cfg.nodes, f.node))
}

// C returns the channel of the subscription. The library closes it, once, after
// Close or when the client has ended. The first call starts a goroutine that
// ends with the subscription. What is still buffered when the client ends is
// delivered until the context of Shutdown ends; Close drops it.
func (s *Subscription) C() <-chan event.Event {
	s.pumpOnce.Do(func() {
		if !s.hub.startPump(s) {
			close(s.out)
		}
	})
	return s.out
}

// All yields the events until the subscription or the client ends, and then
// what is still buffered. When ctx ends it yields its cause, once, and stops.
func (s *Subscription) All(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		batch := make([]event.Event, 32)
		for {
			n, err := s.wait(ctx, batch)
			if err != nil {
				yield(event.Event{Frame: emptyFrame}, err)
				return
			}
			if n == 0 {
				return
			}
			for i := range n {
				if !yield(batch[i], nil) {
					s.putBack(batch[i+1 : n])
					return
				}
			}
			clear(batch[:n])
		}
	}
}

// Dropped returns how many events the subscription has lost since it was made,
// those included that its node's queue dropped before they could be filtered.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// String returns how many events the subscription has lost.
func (s *Subscription) String() string { return fmt.Sprintf("subscription (%d dropped)", s.Dropped()) }

// Format makes every verb print what String returns.
func (s *Subscription) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, s.String()) }

// Close ends the subscription. It does not wait, may be called twice, and
// concerns no other subscription.
func (s *Subscription) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.hub.remove(s)
	})
}

// wait takes what is buffered, waiting for the first. 0 means the end.
func (s *Subscription) wait(ctx context.Context, dst []event.Event) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		select {
		case <-s.closed:
			return 0, nil
		default:
		}
		if n := s.take(dst); n > 0 {
			return n, nil
		}
		select {
		case <-s.ready:
		case <-s.closed:
		case <-ctx.Done():
		case <-s.ended:
			return s.take(dst), nil // what came just before the end
		}
	}
}

func (s *Subscription) take(dst []event.Event) int {
	s.mu.Lock()
	n, dropped := s.buffer.take(dst)
	more := s.buffer.len() > 0
	s.mu.Unlock()
	s.count(dropped)
	if more {
		s.signal() // for another consumer
	}
	return n
}

// putBack returns what an abandoned iteration has taken and not yielded.
func (s *Subscription) putBack(events []event.Event) {
	if len(events) == 0 {
		return
	}
	s.mu.Lock()
	s.buffer.putBack(slices.Clone(events))
	s.mu.Unlock()
	s.signal()
}

// offer filters a batch and buffers what is left. The dispatcher calls it.
func (s *Subscription) offer(batch []event.Event) {
	var dropped uint64
	took := false
	s.mu.Lock()
	for i := range batch {
		e := &batch[i]
		dropped += e.Lost // by the node's queue
		s.buffer.lose(e.Node, e.Lost)
		if !s.wants(e) {
			s.buffer.carry += e.Lost
			continue
		}
		took = true
		dropped += s.buffer.put(*e)
	}
	s.mu.Unlock()
	if took {
		s.signal()
	}
	s.count(dropped)
}

func (s *Subscription) wants(e *event.Event) bool {
	if _, gap := e.Gap(); gap {
		return true
	}
	if len(s.cfg.names) > 0 {
		name := e.Name()
		if !slices.ContainsFunc(s.cfg.names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return false
		}
	}
	return s.cfg.where == nil || s.matches(e)
}

// matches runs the user's predicate; its panic stays here.
func (s *Subscription) matches(e *event.Event) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			s.hub.panicked(e.Node, fmt.Sprintf("%v", p))
		}
	}()
	return s.cfg.where(*e)
}

func (s *Subscription) count(dropped uint64) {
	if dropped > 0 {
		s.dropped.Add(dropped)
		s.hub.noteDrops()
	}
}

// end says that no more events will come.
func (s *Subscription) end() { s.endOnce.Do(func() { close(s.ended) }) }

func (s *Subscription) signal() {
	select {
	case s.ready <- struct{}{}:
	default: // told already
	}
}

// pump moves events to the channel. It is the channel's only sender.
func (s *Subscription) pump() {
	defer close(s.pumped)
	defer close(s.out)
	one := make([]event.Event, 1)
	for {
		n, _ := s.wait(context.Background(), one)
		if n == 0 {
			return
		}
		select {
		case s.out <- one[0]:
			continue
		default:
		}
		select {
		case s.out <- one[0]:
		case <-s.closed:
			return
		}
	}
}
