package ami

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
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
// must be quick and never block. If it panics, or calls runtime.Goexit as a failed
// assertion does, the event is taken for no match; that is counted (DeliveryStats.PredicatePanics), and the first one logged.
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
	pumped    chan struct{}    // closed by the pump when it ends
	out       chan event.Event // pump → receivers, closed by the pump

	pumps  bool // the pump has been started; under hub.mu
	sealed bool // it may not be started any more; under hub.mu

	wanted []bool // of the events of a batch; the dispatcher's

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
// ends with the subscription. What is still buffered when Shutdown ends the
// client is delivered for as long as that waits for receivers, also if C is
// called first in that time; Close drops it. Called first after the end, C
// returns a closed channel; All still yields what is buffered.
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
//
// All takes some events at a time. Those that it has not yielded when the
// iteration ends, also by a panic or runtime.Goexit of its body, go back to
// their places in the buffer, so that none is lost and whoever takes them gets
// them in order. Only what other goroutines have taken by then comes before
// them.
func (s *Subscription) All(ctx context.Context) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		var b batch
		defer func() { s.putBack(&b) }()
		room := make([]fair.Item, 32)
		for {
			err := s.wait(ctx, &b, room)
			if err != nil {
				yield(event.Event{Frame: emptyFrame}, err)
				return
			}
			if len(b.events) == 0 {
				return
			}
			for len(b.events) > 0 && !s.stopped(ctx) {
				// Taken before it is yielded: the body has it, even if it panics.
				if !yield(s.next(&b), nil) {
					return
				}
			}
			s.putBack(&b) // if it is to stop; wait says why
		}
	}
}

// stopped reports whether All is to yield no more of what it has.
func (s *Subscription) stopped(ctx context.Context) bool {
	return isClosed(s.closed) || ctx.Err() != nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Dropped returns how many events the subscription has lost since it was made,
// those included that its node's queue dropped before they could be filtered.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	before := s.buffer.dropped
	s.buffer.expire()
	now := s.buffer.dropped
	s.mu.Unlock()
	s.note(now - before)
	return now
}

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

// wait takes what is buffered to b, waiting for the first. None means the end.
// room is where it may put them.
func (s *Subscription) wait(ctx context.Context, b *batch, room []fair.Item) error {
	for {
		if ctx.Err() != nil {
			// The wake-up for an event may have come to this goroutine, which
			// was the first in the line, just when its context ended. Another
			// one that waits in the line would sleep on beside that event.
			s.passOn()
			return context.Cause(ctx)
		}
		if isClosed(s.closed) {
			return nil // so it is for all others
		}
		if s.take(b, room) {
			return nil
		}
		select {
		case <-s.ready:
		case <-s.closed:
		case <-ctx.Done():
		case <-s.ended:
			s.take(b, room) // what came just before the end
			return nil
		}
	}
}

// take takes what is buffered to b and reports whether that is anything.
func (s *Subscription) take(b *batch, room []fair.Item) bool {
	s.mu.Lock()
	before := s.buffer.dropped
	*b = s.buffer.take(room)
	dropped := s.buffer.dropped - before
	more := s.buffer.len() > 0
	s.mu.Unlock()
	s.note(dropped)
	if more {
		s.signal() // for another consumer
	}
	return len(b.events) > 0
}

// next takes the first event of b for a consumer. It is delivered from then on, not
// when it was fetched: what All puts back would have to be taken off the counter.
func (s *Subscription) next(b *batch) event.Event {
	s.hub.delivered.Add(1)
	i := b.next()
	return i.Event()
}

func (s *Subscription) buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.len()
}

// passOn wakes another consumer if there is anything for it.
func (s *Subscription) passOn() {
	s.mu.Lock()
	more := s.buffer.len() > 0
	s.mu.Unlock()
	if more {
		s.signal()
	}
}

// putBack returns what an abandoned iteration has taken and not yielded. The
// array is the mailbox's from then on.
func (s *Subscription) putBack(b *batch) {
	if len(b.events) == 0 {
		return
	}
	s.mu.Lock()
	s.buffer.putBack(*b)
	s.mu.Unlock()
	*b = batch{}
	s.signal()
}

// note has drops logged some time. The caller does not hold mu.
func (s *Subscription) note(dropped uint64) {
	if dropped > 0 {
		s.hub.dropped.Add(dropped)
		s.hub.noteDrops()
	}
}

// lossy reports whether the next summary has anything to tell.
func (s *Subscription) lossy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buffer.lost) > 0
}

// losses returns what a summary tells; see mailbox.losses.
func (s *Subscription) losses() (node string, delta, total uint64, depth int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.buffer.dropped
	s.buffer.expire()
	s.hub.dropped.Add(s.buffer.dropped - before) // told now: no summary is to be noted
	node, delta = s.buffer.losses()
	return node, delta, s.buffer.dropped, s.buffer.len()
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
	one := make([]fair.Item, 1)
	for {
		var b batch
		_ = s.wait(context.Background(), &b, one) // such a context never ends
		if len(b.events) == 0 {
			return
		}
		e := s.next(&b)
		select {
		case s.out <- e:
			continue
		default:
		}
		select {
		case s.out <- e:
		case <-s.closed:
			return
		}
	}
}
