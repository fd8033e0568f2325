// Package correlate finds the action that a frame answers.
//
// One Table serves one node, across its sessions and whatever their number: an
// OriginateResponse may arrive on another session than the action left on.
package correlate

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Errors of Add.
var (
	// ErrFull reports that as many actions are pending as may be.
	ErrFull = errors.New("correlate: too many pending actions")
	// ErrEnded reports that the session of the action has ended.
	ErrEnded = errors.New("correlate: session has ended")
)

// A Fate is what became of a frame.
type Fate uint8

// The fates of a frame.
const (
	Publish  Fate = iota // no answer: for the subscriptions
	Answer               // part of an answer and nothing else
	Both                 // a broadcast that completes an action, and an event for everybody
	Late                 // answer to an action of this client that no longer waits
	Stranger             // a response or text that answers nothing known
)

// A Table holds the actions of one node that wait for their answer. Its methods
// may be called from any goroutine; none blocks.
type Table struct {
	prefix string // of every ActionID: node:instance:
	max    int

	sequence atomic.Uint64
	open     atomic.Int32 // pending lists that take items without ActionID

	mu        sync.Mutex
	pending   map[uint64]*Pending
	deadlines deadlines
	lists     []*Pending    // those counted by open
	bare      []*Pending    // strategy.Bare, in the order of sending
	ghosts    ghosts        // given up, with an answer still to come
	ended     uint64        // the highest epoch that has ended
	idle      chan struct{} // closed when nothing is pending any more; nil if nobody waits
}

// NewTable returns the table of a node. limit bounds the pending actions.
func NewTable(node, instance string, limit int) *Table {
	t := &Table{prefix: Prefix(node, instance), max: limit, pending: make(map[uint64]*Pending)}
	t.deadlines.expire = t.expire
	return t
}

// New returns a Pending with the next ActionID. It is in no table yet.
func (t *Table) New(epoch uint64, s strategy.Strategy) *Pending {
	n := t.sequence.Add(1)
	var id [idMost]byte
	p := &Pending{
		ID:       string(strconv.AppendUint(append(id[:0], t.prefix...), n, 10)),
		Epoch:    epoch,
		Strategy: s,
		sequence: n,
		done:     make(chan struct{}),
	}
	p.progress = p.Strategy.Begin()
	return p
}

// Add makes p findable. It must be complete, and is queued for writing only
// afterwards: an answer must never meet a table without its action.
func (t *Table) Add(p *Pending) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case p.Epoch <= t.ended:
		return ErrEnded
	case len(t.pending) >= t.max:
		return ErrFull
	}
	t.pending[p.sequence] = p
	t.deadlines.add(p)
	if p.Strategy.Kind == strategy.Bare {
		t.bare = append(t.bare, p)
	}
	return nil
}

// Len returns the number of pending actions.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pending)
}

// Idle returns a channel that is closed as soon as nothing is pending.
func (t *Table) Idle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.tellIdle()
	return idle
}

// tellIdle closes idle if that is due. The caller holds mu.
func (t *Table) tellIdle() {
	if t.idle != nil && len(t.pending) == 0 {
		close(t.idle)
		t.idle = nil
	}
}

// Offer gives a frame to the action that it answers.
func (t *Table) Offer(f *frame.Frame) Fate {
	id := f.Get("ActionID")
	event := f.Kind() == frame.Event
	if event && (id == "" && t.open.Load() == 0 || id != "" && !strings.HasPrefix(id, t.prefix)) {
		return Publish // nearly all frames, without the lock
	}
	t.mu.Lock()
	p := t.find(id, f)
	if p == nil || !p.Taken() { // nobody can answer what was not sent, though ids can be guessed
		t.mu.Unlock()
		return t.orphan(id, event, f)
	}
	v := p.progress.Offer(f)
	if p.ghost && v != strategy.Foreign {
		t.haunt(p, v)
		t.mu.Unlock()
		return Late
	}
	if v == strategy.Foreign {
		t.mu.Unlock()
		if event {
			return Publish
		}
		return Stranger
	}
	p.take(f, v)
	switch {
	case v == strategy.Overflow:
		t.giveUp(p)
	case v > strategy.Keep:
		t.remove(p)
	default:
		t.note(p)
	}
	t.mu.Unlock()
	if v > strategy.Keep {
		p.finish(v, nil)
	} else {
		p.signal()
	}
	if _, broadcast := f.Lookup("Privilege"); event && broadcast && p.Strategy.Kind != strategy.List && p.Strategy.Kind != strategy.Auto {
		return Both
	}
	return Answer
}

// Reject fails the action whose answer was discarded: head, what was kept of the
// frame, carries its ActionID. It reports false if no such action waits, or if
// the frame is a broadcast that merely carries the id.
func (t *Table) Reject(head *frame.Frame, cause error) bool {
	t.mu.Lock()
	p := t.byID(head.Get("ActionID"))
	if p == nil || p.ghost || !p.Taken() || !p.Strategy.Concerns(head) {
		t.mu.Unlock()
		return false
	}
	t.giveUp(p)
	t.mu.Unlock()
	p.finish(strategy.Expired, cause)
	return true
}

// Expire ends an action as its Deadline does. Without effect if it has ended.
func (t *Table) Expire(p *Pending, cause error) {
	t.mu.Lock()
	if t.pending[p.sequence] != p {
		t.mu.Unlock()
		return
	}
	v := p.progress.Expire()
	t.giveUp(p)
	t.mu.Unlock()
	p.finish(v, cause)
}

// Abandon ends an action for a cause of its caller's. Without effect if it has
// ended: a reply that is already there wins.
func (t *Table) Abandon(p *Pending, cause error) {
	t.mu.Lock()
	if t.pending[p.sequence] != p {
		t.mu.Unlock()
		return
	}
	t.giveUp(p)
	t.mu.Unlock()
	p.finish(strategy.Expired, cause)
}

// End fails every action of the epoch with cause, at once, and refuses later
// ones of it.
func (t *Table) End(epoch uint64, cause error) {
	t.mu.Lock()
	t.ended = max(t.ended, epoch)
	var failed []*Pending
	for _, p := range t.pending {
		if p.Epoch <= epoch {
			failed = append(failed, p)
			t.remove(p)
		}
	}
	t.layToRest(epoch)
	t.deadlines.rest()
	t.mu.Unlock()
	for _, p := range failed {
		p.finish(strategy.Expired, cause)
	}
}

// Take returns the items that have come since the last Take.
func (t *Table) Take(p *Pending) []*frame.Frame {
	t.mu.Lock()
	defer t.mu.Unlock()
	items := p.Items
	p.Items = nil
	return items
}

// find returns the action that f may be part of the answer to.
func (t *Table) find(id string, f *frame.Frame) *Pending {
	switch {
	case id != "":
		return t.byID(id)
	case f.Kind() == frame.Event:
		// Lists are contiguous, so the oldest open one that knows the name.
		name := f.Name()
		for _, p := range t.lists {
			if p.progress.Owns(name) {
				return p
			}
		}
	case f.Kind() == frame.Other && len(t.bare) > 0:
		return t.bare[0]
	}
	return nil
}

func (t *Table) byID(id string) *Pending {
	n, _ := t.number(id)
	if p := t.pending[n]; p != nil { // none has 0
		return p
	}
	return t.ghosts.find(n)
}

// number returns the sequence number in an ActionID that New has given out.
func (t *Table) number(id string) (n uint64, ok bool) {
	digits, ok := strings.CutPrefix(id, t.prefix)
	if !ok || strings.HasPrefix(digits, "0") { // 007 is not 7
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > t.sequence.Load() {
		return 0, false
	}
	return n, true
}

// orphan tells what a frame is that no action waits for.
func (t *Table) orphan(id string, event bool, f *frame.Frame) Fate {
	_, ours := t.number(id)
	if event {
		if _, broadcast := f.Lookup("Privilege"); ours && !broadcast {
			return Late // an item of a list that nobody waits for any more
		}
		return Publish
	}
	if ours {
		return Late
	}
	return Stranger
}

// note lists p once items without ActionID may belong to it. The caller holds mu.
func (t *Table) note(p *Pending) {
	if p.progress.Open() && !p.open {
		p.open = true
		t.lists = append(t.lists, p)
		t.open.Add(1)
	}
}

// remove takes p out of everything. The caller holds mu.
func (t *Table) remove(p *Pending) {
	t.release(p)
	t.unlist(p)
}

// release lets p wait no more. The caller holds mu.
func (t *Table) release(p *Pending) {
	delete(t.pending, p.sequence)
	t.deadlines.remove(p)
	t.tellIdle()
}

// unlist lets frames without ActionID find p no more. The caller holds mu.
func (t *Table) unlist(p *Pending) {
	if p.open {
		p.open = false
		t.lists = without(t.lists, p)
		t.open.Add(-1)
	}
	if p.Strategy.Kind == strategy.Bare {
		t.bare = without(t.bare, p)
	}
}

func without(list []*Pending, p *Pending) []*Pending {
	return slices.DeleteFunc(list, func(q *Pending) bool { return q == p })
}
