package ami

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// A hub takes the events of its nodes to the subscriptions. It owns the
// dispatcher goroutine and the pumps of the subscriptions, and waits for them.
type hub struct {
	log      *slog.Logger
	interval time.Duration // of drop summaries

	dispatcher *fair.Dispatcher
	subs       atomic.Pointer[[]*Subscription] // copied on write, under mu
	panics     atomic.Uint64                   // of predicates

	noted   atomic.Bool    // a drop summary is due
	serving sync.WaitGroup // the dispatcher
	running sync.WaitGroup // pumps and the drop summary

	mu      sync.Mutex
	summary *time.Timer // logs the drops; nil if none is due
	done    chan struct{}
	live    bool // between start and stop
	over    bool

	dispatching bool // the dispatcher runs
}

func newHub(log *slog.Logger, interval time.Duration) *hub {
	h := &hub{log: log, interval: interval, done: make(chan struct{})}
	h.subs.Store(new([]*Subscription))
	h.dispatcher = fair.NewDispatcher(h.deliver)
	return h
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
	if h.live && !h.dispatching && len(*h.subs.Load()) > 0 {
		h.dispatching = true
		h.serving.Go(func() { h.dispatcher.Run(h.done) })
	}
}

// stop delivers what is queued, ends all subscriptions and waits for every
// goroutine. Until grace is closed, receivers on C may take what is buffered;
// nil means not at all. It is called once.
func (h *hub) stop(grace <-chan struct{}) {
	h.mu.Lock()
	h.live = false
	h.mu.Unlock()
	close(h.done)
	h.serving.Wait() // the dispatcher delivers before any subscription ends

	h.mu.Lock()
	h.over = true
	if h.summary != nil && h.summary.Stop() {
		h.running.Done() // it will not run
	}
	subs := *h.subs.Load()
	h.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
	// A pump that nobody receives from ends only when its subscription is
	// closed. All needs no goroutine: it may go on as long as it likes.
	for _, s := range subs {
		if s.pumping.Load() {
			if grace != nil {
				select {
				case <-s.pumped:
				case <-grace:
				}
			}
			s.Close()
		}
	}
	h.running.Wait()
	h.report()
}

// interested reports whether any subscription exists; without one nothing is
// queued and nothing counts as dropped.
func (h *hub) interested() bool { return len(*h.subs.Load()) > 0 }

func (h *hub) add(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		s.end()
		return
	}
	subs := append(slices.Clone(*h.subs.Load()), s)
	h.subs.Store(&subs)
	h.dispatch()
}

func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	subs := slices.DeleteFunc(slices.Clone(*h.subs.Load()), func(o *Subscription) bool { return o == s })
	h.subs.Store(&subs)
}

// startPump runs the goroutine behind Subscription.C, unless all is over.
func (h *hub) startPump(s *Subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.running.Go(s.pump)
	return true
}

// deliver runs on the dispatcher.
func (h *hub) deliver(batch []event.Event) {
	for _, s := range *h.subs.Load() {
		s.offer(batch)
	}
}

// noteDrops schedules a summary unless one is due already.
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
		h.noted.Store(false)
		h.report()
	})
}

// report logs one record for each subscription that has lost events since the
// last one.
func (h *hub) report() {
	for _, s := range *h.subs.Load() {
		total := s.dropped.Load()
		delta := total - s.reported.Swap(total)
		if delta == 0 {
			continue
		}
		s.mu.Lock()
		depth := s.buffer.len()
		s.mu.Unlock()
		h.log.Warn("events dropped: a subscription does not keep up",
			"dropped_delta", delta, "dropped_total", total, "queue_depth", depth)
	}
}

func (h *hub) panicked(node, what string) {
	if h.panics.Add(1) == 1 { // the first is news, the rest are a number
		h.log.Error("a subscription's predicate panicked", "server_key", node, "panic", what)
	}
}
