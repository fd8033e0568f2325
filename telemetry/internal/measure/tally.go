package measure

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami"
)

// A tally counts the actions of each node. The zero value is empty.
type tally struct {
	mu    sync.RWMutex
	nodes map[string]*counts
}

type counts struct {
	ended [outcomes]atomic.Uint64
	time  atomic.Int64 // nanoseconds until the answers
}

func (t *tally) add(e *ami.ActionEnd) {
	c := t.of(e.Node)
	c.ended[OutcomeOf(e.Err)].Add(1)
	c.time.Add(int64(answered(e).Sub(e.Started)))
}

func (t *tally) of(node string) *counts {
	t.mu.RLock()
	c := t.nodes[node]
	t.mu.RUnlock()
	if c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c = t.nodes[node]; c == nil {
		if t.nodes == nil {
			t.nodes = make(map[string]*counts)
		}
		c = new(counts)
		t.nodes[node] = c
	}
	return c
}

// names returns the nodes that have been counted.
func (t *tally) names() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]string, 0, len(t.nodes))
	for n := range t.nodes {
		list = append(list, n)
	}
	return list
}

func (t *tally) forget(nodes []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range nodes {
		delete(t.nodes, n)
	}
}

// read returns the counts of a node.
func (t *tally) read(node string) (a Actions) {
	t.mu.RLock()
	c := t.nodes[node]
	t.mu.RUnlock()
	if c != nil {
		a.Time = time.Duration(c.time.Load())
		for i := range c.ended {
			a.Ended[i] = c.ended[i].Load()
		}
	}
	return a
}

// answered is when Asterisk had answered: for an action that completes by an
// event later, when it said that it would do it.
func answered(e *ami.ActionEnd) time.Time {
	if !e.Accepted.IsZero() {
		return e.Accepted
	}
	return e.Ended
}

// A Phase is a part of an action's time, with its outcome.
type Phase struct {
	Action  string // a label
	Outcome Outcome
	Start   time.Time
	End     time.Time
}

// Phases returns the two parts of an action: until Asterisk had answered, and, for
// one that completes by an event later, from then until its end. ok is false if
// there is no second.
func Phases(e *ami.ActionEnd) (answer, completion Phase, ok bool) {
	answer = Phase{Action: Action(e.Action), Outcome: OutcomeOf(e.Err), Start: e.Started, End: answered(e)}
	if e.Accepted.IsZero() {
		return answer, Phase{}, false
	}
	completion = answer
	completion.Start, completion.End, answer.Outcome = e.Accepted, e.Ended, OK
	return answer, completion, true
}

// Seconds returns how long the phase has taken.
func (p Phase) Seconds() float64 { return p.End.Sub(p.Start).Seconds() }
