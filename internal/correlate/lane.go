package correlate

import (
	"slices"
	"sync/atomic"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// A Lane is one way to the node: sessions that follow each other, of which one
// at a time is up. A frame with an ActionID finds its action whatever lane it
// comes on; one without can only answer an action of the same session. Its
// methods may be called from any goroutine; none blocks.
type Lane struct {
	table *Table
	open  atomic.Int32 // pending lists that take items without ActionID

	// Guarded by the table's lock.
	lists   []*Pending // those counted by open
	bare    []*Pending // strategy.Bare, in the order of sending
	waiting int        // pending actions
	ended   uint64     // the highest epoch that has ended
}

// NewLane returns one more lane of the node.
func (t *Table) NewLane() *Lane { return &Lane{table: t} }

// Add makes p findable. It must be complete, and is queued for writing only
// afterwards: an answer must never meet a table without its action.
func (l *Lane) Add(p *Pending) error {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case p.Epoch <= l.ended, p.Events != 0 && p.Events <= t.ended:
		return ErrEnded
	case len(t.pending) >= t.max:
		return ErrFull
	}
	p.lane = l
	l.waiting++
	t.pending[p.sequence] = p
	t.deadlines.add(p)
	if p.Strategy.Kind == strategy.Bare {
		l.bare = append(l.bare, p)
	}
	return nil
}

// Waiting returns the number of pending actions that were added to the lane.
func (l *Lane) Waiting() int {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.waiting
}

// End says that the lane's sessions up to epoch have ended: it fails what is
// pending on them with cause, at once, and refuses later ones. With the lane of
// events go actions of other lanes whose event has yet to come there.
func (l *Lane) End(epoch uint64, cause error) {
	t := l.table
	t.mu.Lock()
	l.ended = max(l.ended, epoch)
	var failed []*Pending
	for _, p := range t.pending {
		if p.needs(l, epoch) {
			failed = append(failed, p)
			t.remove(p)
		}
	}
	t.layToRest(l, epoch)
	t.deadlines.rest()
	t.mu.Unlock()
	for _, p := range failed {
		p.finish(strategy.Expired, cause)
	}
}

// needs reports whether p still awaits a frame of a session of l up to epoch.
// The caller holds the table's lock.
func (p *Pending) needs(l *Lane, epoch uint64) bool {
	if p.Events == 0 {
		return p.lane == l && p.Epoch <= epoch
	}
	// Either part may have come first, each on its own session.
	event := p.End == nil && l == &p.lane.table.Lane && p.Events <= epoch
	response := p.Response == nil && p.lane == l && p.Epoch <= epoch
	return event || response
}

// find returns the action that f may be part of the answer to. The caller holds
// the table's lock.
func (l *Lane) find(id string, f *frame.Frame) *Pending {
	switch {
	case id != "":
		return l.table.byID(id)
	case f.Kind() == frame.Event:
		// Lists are contiguous, so the oldest open one that knows the name.
		name := f.Name()
		for _, p := range l.lists {
			if p.progress.Owns(name) {
				return p
			}
		}
	case f.Kind() == frame.Other && len(l.bare) > 0:
		return l.bare[0]
	}
	return nil
}

// note lists p once items without ActionID may belong to it. The caller holds
// the table's lock.
func (l *Lane) note(p *Pending) {
	if p.progress.Open() && !p.open {
		p.open = true
		l.lists = append(l.lists, p)
		l.open.Add(1)
	}
}

// unlist lets frames without ActionID find p no more. The caller holds the
// table's lock.
func (l *Lane) unlist(p *Pending) {
	if p.open {
		p.open = false
		l.lists = without(l.lists, p)
		l.open.Add(-1)
	}
	if p.Strategy.Kind == strategy.Bare {
		l.bare = without(l.bare, p)
	}
}

func without(list []*Pending, p *Pending) []*Pending {
	return slices.DeleteFunc(list, func(q *Pending) bool { return q == p })
}
