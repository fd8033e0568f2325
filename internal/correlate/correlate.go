// Package correlate finds the action that a frame answers.
//
// One Table serves one node, across its sessions and whatever their number: an
// OriginateResponse may arrive on another session than the action left on. What
// belongs to the sessions of one lane alone is in its Lane.
package correlate

import (
	"errors"
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
	Lane // that of the events; a node may have more

	prefix string // of every ActionID: node:instance:
	max    int

	sequence atomic.Uint64

	mu        sync.Mutex
	pending   map[uint64]*Pending
	deadlines deadlines
	ghosts    ghosts        // given up, with an answer still to come
	idle      chan struct{} // closed when nothing is pending any more; nil if nobody waits
}

// NewTable returns the table of a node. limit bounds the pending actions.
func NewTable(node, instance string, limit int) *Table {
	t := &Table{prefix: Prefix(node, instance), max: limit, pending: make(map[uint64]*Pending)}
	t.table = t
	t.deadlines.expire = t.expire
	return t
}

// New returns a Pending with the next ActionID. It is in no lane yet.
func (t *Table) New(s strategy.Strategy) *Pending {
	n := t.sequence.Add(1)
	var id [idMost]byte
	p := &Pending{
		ID:       string(strconv.AppendUint(append(id[:0], t.prefix...), n, 10)),
		Strategy: s,
		sequence: n,
		done:     make(chan struct{}),
	}
	p.progress = p.Strategy.Begin()
	return p
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

// Offer gives a frame that has come on the lane to the action that it answers.
func (l *Lane) Offer(f *frame.Frame) Fate {
	t := l.table
	id := f.ActionID()
	event := f.Kind() == frame.Event
	if event && (id == "" && l.open.Load() == 0 || id != "" && !strings.HasPrefix(id, t.prefix)) {
		return Publish // nearly all frames, without the lock
	}
	t.mu.Lock()
	p := l.find(id, f)
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
		p.lane.note(p)
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
	p := t.byID(head.ActionID())
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

// Take returns the items that have come since the last Take.
func (t *Table) Take(p *Pending) []*frame.Frame {
	t.mu.Lock()
	defer t.mu.Unlock()
	items := p.Items
	p.Items = nil
	return items
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

// remove takes p out of everything. The caller holds mu.
func (t *Table) remove(p *Pending) {
	t.release(p)
	p.lane.unlist(p)
}

// release lets p wait no more. The caller holds mu.
func (t *Table) release(p *Pending) {
	delete(t.pending, p.sequence)
	p.lane.waiting--
	t.deadlines.remove(p)
	t.tellIdle()
}
