package ami

import (
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
	"github.com/apn/ami/internal/redact"
)

// A hub takes the events of its nodes to the subscriptions. It owns the
// dispatcher goroutine and the pumps of the subscriptions, and waits for them.
// A Client on its own has one, and so has a Cluster.
type hub struct {
	log      *slog.Logger
	interval time.Duration // of drop summaries
	onDemand bool          // Asterisk is asked for what subscriptions want

	dispatcher *fair.Dispatcher
	panics     panics        // of predicates
	delivered  atomic.Uint64 // events that consumers have taken
	dropped    atomic.Uint64 // events that subscriptions have lost

	noted   atomic.Bool    // a drop summary is due
	serving sync.WaitGroup // the dispatcher
	running sync.WaitGroup // pumps, drop summaries and the record of a panic

	hurryOnce sync.Once
	hurried   chan struct{} // closed by hurry

	mu      sync.Mutex
	feeds   []*feed
	subs    []*Subscription
	summary *time.Timer   // logs the drops; nil if none is due
	served  chan struct{} // closed when the dispatcher has returned
	live    bool          // between start and stop
	over    bool

	dispatching bool // the dispatcher runs
}

func newHub(cfg *config) *hub {
	return &hub{
		log: cfg.logger, interval: cfg.dropSummary, onDemand: cfg.onDemand, dispatcher: fair.NewDispatcher(),
		served: make(chan struct{}), hurried: make(chan struct{}),
	}
}

// start lets the dispatcher run until stop. Its goroutine waits for the first
// subscription: a node that is only sent actions does without.
func (h *hub) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = true
	h.dispatch()
}

// dispatch starts the dispatcher once it is needed. The caller holds mu.
func (h *hub) dispatch() {
	if h.live && !h.dispatching && len(h.subs) > 0 {
		h.dispatching = true
		h.serving.Go(h.serve)
	}
}

// serve is the dispatcher's goroutine. A predicate that calls runtime.Goexit ends it;
// another one takes its place.
func (h *hub) serve() {
	gone := true
	defer func() {
		if gone {
			h.serving.Go(h.serve)
			return
		}
		close(h.served)
	}()
	h.dispatcher.Run()
	gone = false
}

// join makes the way for the events of one more node.
func (h *hub) join(node string, limit, weight int) *feed {
	f := &feed{hub: h, node: node, hurried: make(chan struct{})}
	f.queue = h.dispatcher.NewQueue(limit, weight, f.deliver)
	if h.onDemand {
		f.more = make(chan struct{}, 1)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.feeds = append(h.feeds, f)
	var subs []*listener
	for _, s := range h.subs {
		if s.hears(f) {
			subs = append(subs, &listener{sub: s}) // there is no past
		}
	}
	f.subs.Store(&subs)
	return f
}

// leave delivers what f has queued and ends the subscriptions to that node
// alone; see retire. Nothing may be pushed any more.
func (h *hub) leave(f *feed, grace <-chan struct{}) {
	h.mu.Lock()
	dispatching := h.dispatching
	h.mu.Unlock()
	if dispatching {
		delivered := make(chan struct{})
		f.queue.Finish(func() { close(delivered) })
		select {
		case <-delivered:
		case <-h.served: // the hub was stopped meanwhile
		}
	}
	h.mu.Lock()
	f.over = true
	h.feeds = slices.DeleteFunc(h.feeds, func(o *feed) bool { return o == f })
	var own []*Subscription
	h.subs = slices.DeleteFunc(h.subs, func(s *Subscription) bool {
		if s.feed == f {
			own = append(own, s)
		}
		return s.feed == f
	})
	h.mu.Unlock()
	h.report(own)
	h.retire(own, grace, f.hurried)
}

// stop delivers what is queued, ends all subscriptions and waits for every
// goroutine. It is called once.
func (h *hub) stop(grace <-chan struct{}) {
	h.mu.Lock()
	h.live = false
	h.mu.Unlock()
	h.dispatcher.Stop()
	h.serving.Wait() // the dispatcher delivers before any subscription ends

	h.mu.Lock()
	h.over = true
	if h.summary != nil && h.summary.Stop() {
		h.running.Done() // it will not run
	}
	subs := slices.Clone(h.subs)
	h.mu.Unlock()
	h.report(subs)
	h.retire(subs, grace, nil)
	h.running.Wait()
}

// retire ends subscriptions and their pumps. Until grace or hurried is closed, or
// the hub is in a hurry, receivers on C may take what is buffered; a grace of
// nil means not at all. A pump that starts meanwhile is waited for like the
// others. The order of subs changes.
func (h *hub) retire(subs []*Subscription, grace, hurried <-chan struct{}) {
	for _, s := range subs {
		s.end()
	}
	for rest := subs; grace != nil; {
		i := h.pumping(rest)
		if i < 0 {
			break
		}
		select {
		case <-rest[i].pumped:
			rest[0], rest[i] = rest[i], rest[0]
			rest = rest[1:]
			continue
		case <-grace:
		case <-hurried:
		case <-h.hurried:
		}
		break
	}
	// A pump that nobody receives from ends only when its subscription is
	// closed. All needs no goroutine: it may go on as long as it likes.
	for _, s := range h.seal(subs) {
		s.Close()
		<-s.pumped
	}
}

// pumping returns which of subs has a pump, -1 if none has. No other is started
// then: its subscription would be closed under its receiver.
func (h *hub) pumping(subs []*Subscription) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(subs, func(s *Subscription) bool { return s.pumps })
	if i < 0 {
		for _, s := range subs {
			s.sealed = true
		}
	}
	return i
}

// seal lets no more pumps start, and returns the subscriptions that have one.
func (h *hub) seal(subs []*Subscription) (pumps []*Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range subs {
		s.sealed = true
		if s.pumps {
			pumps = append(pumps, s)
		}
	}
	return pumps
}

// hurry has no node wait for receivers any more, neither one that is just
// leaving nor one that leaves later.
func (h *hub) hurry() { h.hurryOnce.Do(func() { close(h.hurried) }) }

// add takes a subscription in, or ends it if it comes too late.
func (h *hub) add(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || s.feed != nil && s.feed.over {
		s.end()
		s.sealed = true
		return
	}
	h.subs = append(h.subs, s)
	for _, f := range h.feeds {
		if s.hears(f) {
			f.add(s)
		}
	}
	h.dispatch()
}

// remove takes a subscription out that was closed. What it has lost since the last
// summary is logged now: no other one will look at it. Who closes it waits for no
// log handler. Once the hub is over, stop logs it.
func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.sealed = true // retire will not find it
	h.subs = slices.DeleteFunc(h.subs, func(o *Subscription) bool { return o == s })
	for _, f := range h.feeds {
		if s.hears(f) {
			f.remove(s)
		}
	}
	if !h.over && s.lossy() {
		h.running.Go(func() { h.report([]*Subscription{s}) })
	}
}

// startPump runs the goroutine behind Subscription.C, unless it is too late. The
// hub waits for it: retire seals before stop waits.
func (h *hub) startPump(s *Subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.sealed {
		return false
	}
	s.pumps = true
	h.running.Go(s.pump)
	return true
}

// noteDrops schedules a summary unless one is due already. Until that is logged
// no other is made: a log handler that blocks holds up one of them.
func (h *hub) noteDrops() {
	if h.noted.Load() || !h.noted.CompareAndSwap(false, true) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.running.Add(1)
	h.summary = time.AfterFunc(h.interval, func() {
		defer h.running.Done()
		h.report(h.listening())
		h.noted.Store(false)
		// Who dropped events behind the report, and found noted still set, had
		// counted them before it looked: they are seen here. Who looks later
		// notes them itself.
		if slices.ContainsFunc(h.listening(), (*Subscription).lossy) {
			h.noteDrops()
		}
	})
}

func (h *hub) listening() []*Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.subs)
}

// report logs one record for each subscription that has lost events since the
// last one. In a cluster server_key is the node that lost the most. The handler
// may block: no lock is held.
func (h *hub) report(subs []*Subscription) {
	for _, s := range subs {
		node, delta, total, depth := s.losses()
		if delta == 0 {
			continue
		}
		h.log.Warn(msgDropped, attrServerKey, node, attrDroppedDelta, delta, attrDroppedTotal, total, attrQueueDepth, depth)
	}
}

// panicked takes note of the panic of a predicate. The dispatcher calls it, which
// waits for no log handler: another goroutine logs it. The dispatcher runs, so
// that stop does not wait for that goroutine yet.
func (h *hub) panicked(e *event.Event, v any) {
	if h.panics.first() {
		node, name, id, what, stack := e.Node, e.Name(), e.Get("ActionID"), redact.Panic(v), string(debug.Stack())
		h.running.Go(func() {
			h.log.Error(msgPanicked, attrServerKey, node, attrEvent, name, attrActionID, id, attrPanic, what, attrStack, stack)
		})
	}
}
