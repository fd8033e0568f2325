package correlate

import "github.com/apn/ami/strategy"

// ghostsKept bounds the ghosts of one node; the oldest goes first. Each keeps
// its answer in memory as far as it had come.
const ghostsKept = 64

// ghosts are actions that were sent and given up, and whose answers, when they
// come after all, would be taken for something else: items that look like
// broadcasts or carry no ActionID, rows without any header. A ghost judges them
// as its action would have, so that they are late answers and not events, nor
// part of the next action's answer. It ends with its answer or its session.
type ghosts []*Pending

func (g ghosts) find(sequence uint64) *Pending {
	for _, p := range g {
		if p.sequence == sequence {
			return p
		}
	}
	return nil
}

// giveUp removes p without its whole answer. The caller holds mu.
func (t *Table) giveUp(p *Pending) {
	t.release(p)
	// The writer and this compete: either p is revoked and nothing will ever
	// come, or it was sent.
	if s := &p.Strategy; p.Revoke() || s.Kind != strategy.Bare && len(s.Items) == 0 && len(s.NoActionID) == 0 {
		p.lane.unlist(p)
		return
	}
	p.ghost = true
	t.ghosts = append(t.ghosts, p)
	if len(t.ghosts) > ghostsKept {
		t.bury(t.ghosts[0])
	}
}

// haunt takes a frame of a ghost's answer in. The caller holds mu.
func (t *Table) haunt(p *Pending, v strategy.Verdict) {
	if v > strategy.Keep && v != strategy.Overflow { // after that only the session's end is known
		t.bury(p)
		return
	}
	p.lane.note(p)
}

// bury ends a ghost. The caller holds mu.
func (t *Table) bury(p *Pending) {
	t.ghosts = without(t.ghosts, p)
	p.lane.unlist(p)
}

// layToRest ends the ghosts of the lane's sessions up to epoch. The caller holds
// mu.
func (t *Table) layToRest(l *Lane, epoch uint64) {
	for i := len(t.ghosts) - 1; i >= 0; i-- {
		if p := t.ghosts[i]; p.lane == l && p.Epoch <= epoch {
			t.bury(p)
		}
	}
}
