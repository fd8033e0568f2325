package demo

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/event"
)

// The nodes with a part to play, by number.
const (
	quiet = iota
	mortal
	noisy // from three nodes on
)

const floodRate = 5000 // events per second

// When what happens, as a fraction of the whole time.
const (
	floodAt = 0.3
	killAt  = 0.55
)

// downFor is how long the killed server is away, if the whole takes long.
const downFor = 500 * time.Millisecond

func (f *fleet) floods() bool { return len(f.servers) > noisy }

func (f *fleet) at(fraction float64) time.Duration {
	return time.Duration(fraction * float64(f.length)).Round(time.Millisecond)
}

// role is what is going to happen to a node.
func (f *fleet) role(n int) string {
	switch {
	case n == mortal:
		return fmt.Sprintf("dies once, after %v", f.at(killAt))
	case n == quiet && f.floods():
		return "the quiet one: its latency is measured"
	case n == noisy:
		return fmt.Sprintf("floods with %s events/s after %v", grouped(floodRate), f.at(floodAt))
	}
	return ""
}

// play makes it happen. It returns when ctx ends.
func (f *fleet) play(ctx context.Context) {
	var flood sync.WaitGroup
	defer flood.Wait()
	start := time.Now()
	if !waitUntil(ctx, start.Add(f.at(floodAt))) {
		return
	}
	if f.floods() {
		f.say("%s pbx%d starts to flood", clock(time.Now()), noisy+1)
		f.floodFrom(time.Now())
		flood.Go(func() { _ = f.servers[noisy].Flood(ctx, floodRate, math.MaxInt) }) // the end of ctx
	}
	if !waitUntil(ctx, start.Add(f.at(killAt))) {
		return
	}
	f.say("%s pbx%d is killed: its server drops every connection and takes no new one", clock(time.Now()), mortal+1)
	f.servers[mortal].Drop()
	if !waitUntil(ctx, time.Now().Add(min(downFor, f.length/20))) {
		return
	}
	if err := f.servers[mortal].Start(0); err != nil {
		f.say("%s pbx%d does not start again: %v", clock(time.Now()), mortal+1, err)
		return
	}
	f.say("%s pbx%d is up again and waits to be found", clock(time.Now()), mortal+1)
	<-ctx.Done()
}

// waitUntil reports whether the time came before the end of ctx.
func waitUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch ranges over the events while the story is played.
func (f *fleet) watch(ctx context.Context, events *ami.Subscription) {
	f.say("\nEvents of all in one loop, for %v; a few of each node are shown:", f.length)
	ctx, cancel := context.WithTimeout(ctx, f.length)
	defer cancel()
	var others sync.WaitGroup
	defer others.Wait()
	states := f.cluster.StateChanges(ctx)
	others.Go(func() {
		for change := range states {
			f.showState(change)
		}
	})
	others.Go(func() { f.play(ctx) })
	sample := newSample(len(f.servers), f.length)
	for e, err := range events.All(ctx) {
		if err != nil {
			return // the time is up, or Ctrl-C
		}
		now := time.Now()
		n := f.add(e, now)
		gap, isGap := e.Gap()
		switch {
		case isGap:
			f.say("%s %-5s -- gap: away for %v between sessions %d and %d; what it sent meanwhile is lost",
				clock(e.Time), e.Node, gap.Down.Round(time.Millisecond), gap.From, gap.To)
		case sample.due(n.number, now):
			f.show(e, n, now)
		}
	}
}

// show prints an event, or how many there were in a flood.
func (f *fleet) show(e event.Event, n *counts, now time.Time) {
	since, took := n.events-n.shown, now.Sub(n.shownAt)
	n.shown, n.shownAt = n.events, now
	if u, ok := event.As[event.UserEvent](e); ok && n.number == noisy && u.UserEvent == "Flood" {
		f.say("%s %-5s %s events in the last %v", clock(e.Time), e.Node, grouped(since), took.Round(time.Millisecond))
		return
	}
	f.say("%s %-5s %s", clock(e.Time), e.Node, brief(e))
}

// showState prints the states that say whether a node can be used.
func (f *fleet) showState(c ami.StateChange) {
	switch {
	case c.From == ami.Ready && c.To != ami.Ready:
		f.say("%s %-5s -- connection lost: %v", clock(c.At), c.Node, c.Reason)
	case c.To == ami.Ready:
		f.say("%s %-5s -- logged in again, session %d", clock(c.At), c.Node, c.Epoch)
	}
}

// A sample spreads the lines of all nodes evenly over the time: about 40 in
// all, or one for each node, and not more than 20 per second.
type sample struct {
	next  []time.Time // by number of the node
	every time.Duration
}

func newSample(nodes int, length time.Duration) *sample {
	step := max(length/time.Duration(max(40, nodes+1)), 50*time.Millisecond)
	s := &sample{every: step * time.Duration(nodes)}
	for n := range nodes {
		s.next = append(s.next, time.Now().Add(step*time.Duration(n)))
	}
	return s
}

// due reports whether it is a node's turn.
func (s *sample) due(n int, now time.Time) bool {
	if now.Before(s.next[n]) {
		return false
	}
	for !s.next[n].After(now) {
		s.next[n] = s.next[n].Add(s.every)
	}
	return true
}
