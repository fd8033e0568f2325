package ami

import (
	"sync/atomic"

	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// A feed is the way of one node's events to the subscriptions that hear the
// node: reader → queue → dispatcher → each of them.
type feed struct {
	hub   *hub
	node  string
	queue *fair.Queue

	subs atomic.Pointer[[]*Subscription] // copied on write, under hub.mu
	over bool                            // has left; under hub.mu
}

// push queues events in order; see fair.Queue.Push.
func (f *feed) push(events []event.Event) { f.queue.Push(events) }

// interested reports whether any subscription hears the node; without one
// nothing is queued and nothing counts as dropped.
func (f *feed) interested() bool { return len(*f.subs.Load()) > 0 }

// deliver runs on the dispatcher.
func (f *feed) deliver(batch []event.Event) {
	for _, s := range *f.subs.Load() {
		s.offer(batch)
	}
}
