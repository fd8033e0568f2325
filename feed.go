package ami

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apn/ami/internal/eventset"
	"github.com/apn/ami/internal/fair"
)

// A feed is the way of one node's events to the subscriptions that hear the
// node: reader → queue → dispatcher → each of them.
type feed struct {
	hub   *hub
	node  string
	queue *fair.Queue

	subs atomic.Pointer[[]*listener] // copied on write, under hub.mu
	more chan struct{}               // one slot: a subscription came; nil if nobody asks
	over bool                        // has left; under hub.mu

	hurryOnce sync.Once
	hurried   chan struct{} // closed by hurry
}

// hurry has the node, when it leaves or while it does, wait for no receivers.
func (f *feed) hurry() { f.hurryOnce.Do(func() { close(f.hurried) }) }

// push queues events in order, and reports whether the dispatcher is behind; see
// fair.Queue.Push.
func (f *feed) push(events []fair.Item) (behind bool) { return f.queue.Push(events) }

// interested reports whether any subscription hears the node; without one
// nothing is queued and nothing counts as dropped.
func (f *feed) interested() bool { return len(*f.subs.Load()) > 0 }

// deliver runs on the dispatcher.
func (f *feed) deliver(batch []fair.Item) { offer(*f.subs.Load(), batch) }

// offer offers a batch to subscriptions. One whose predicate calls runtime.Goexit
// ends the dispatcher's goroutine, but not before all others have had the batch.
func offer(subs []*listener, batch []fair.Item) {
	i := 0
	defer func() {
		if i < len(subs) {
			offer(subs[i+1:], batch)
		}
	}()
	for ; i < len(subs); i++ {
		if behind := subs[i].mark.Behind(batch); len(behind) > 0 {
			subs[i].sub.offer(behind)
		}
	}
}

// add has s hear the node from now on.
func (f *feed) add(s *Subscription) {
	f.queue.Mark(func(m fair.Mark) {
		subs := append(slices.Clone(*f.subs.Load()), &listener{sub: s, mark: m})
		f.subs.Store(&subs)
	})
	select {
	case f.more <- struct{}{}:
	default: // told already, or nobody asks
	}
}

// wanted is what the subscriptions want of the node.
func (f *feed) wanted() eventset.Set {
	var all eventset.Set
	for _, l := range *f.subs.Load() {
		all = all.Union(eventset.Of(l.sub.cfg.names...))
	}
	return all
}

func (f *feed) remove(s *Subscription) {
	subs := slices.DeleteFunc(slices.Clone(*f.subs.Load()), func(l *listener) bool { return l.sub == s })
	f.subs.Store(&subs)
}

// A listener is a subscription that hears a node, and since when.
type listener struct {
	sub  *Subscription
	mark fair.Mark // the dispatcher's
}
