package fair

import (
	"slices"
	"time"
)

// A Mark is the place in the queue of a node where somebody began to listen. It
// tells him apart what was received before that and what came behind, of the
// losses too. The zero Mark lets everything through. Its owner calls Behind on
// the goroutine of Run.
type Mark struct {
	made        time.Time
	first, last uint64 // numbers of the events that waited then
	owed        uint64 // how many of them, gaps excepted, and the losses that they tell of, are still to come
	passed      bool
}

// Mark makes a mark behind what was pushed so far and has set called with it.
// No event is pushed or taken meanwhile, so that whoever listens from set on
// finds all that is behind the mark, and before it nothing that the mark does
// not know but a batch that has been taken already.
func (q *Queue) Mark(set func(Mark)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := Mark{made: time.Now(), first: q.last + 1, last: q.last}
	if oldest := q.ring.First(); oldest != nil {
		m.first = oldest.Seq
		m.owed = uint64(q.ring.Len()-q.ring.Gaps()) + q.ring.Untold()
	}
	set(m)
}

// Behind returns the events of batch that are behind the mark. All batches from
// the making of the mark on are to be given to it, in order. batch is not
// changed.
func (m *Mark) Behind(batch []Item) []Item {
	if m.passed {
		return batch
	}
	for i := range batch {
		e := &batch[i]
		if e.Seq <= m.last {
			m.settle(e)
			continue
		}
		// What waited then is delivered or dropped by now; of the drops this
		// event is the first to tell, together with later ones.
		owed := min(m.owed, e.Lost)
		m.owed = 0
		if e.Of.Time.Before(m.made) {
			// Read before, but not pushed: the reader hands events over in
			// batches. Who asks for events when the answer to an action is
			// there expects none that Asterisk sent before that answer.
			continue
		}
		m.passed = true
		rest := batch[i:]
		if owed > 0 {
			rest = slices.Clone(rest) // batch is others' too
			rest[0].Lost -= owed
		}
		return rest
	}
	return nil
}

// settle strikes an event off what is owed. A batch that was taken before the
// mark was made, and is delivered only now, was not part of it.
func (m *Mark) settle(e *Item) {
	if e.Seq < m.first {
		return
	}
	paid := e.Lost
	if !e.isGap() {
		paid++
	}
	m.owed -= min(m.owed, paid)
}
