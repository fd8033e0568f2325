package ami

import (
	"cmp"
	"slices"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/fair"
)

var emptyFrame = new(frame.Frame)

// A mailbox is the buffer of a subscription with its drop policy. The
// subscription's mutex guards it.
//
// With BlockUpTo there is a waiting area behind the buffer. While anything is in
// it the buffer is full: what a consumer takes lets as many in at once. Thus an
// event that has waited too long has found no room in time, and may be dropped
// whenever somebody looks.
type mailbox struct {
	ring   fair.Ring // the buffer
	policy dropPolicy
	carry  uint64 // lost since the last event that was buffered

	dropped uint64            // in all
	lost    map[string]uint64 // of these by node, since the last losses; nil if none

	taken    uint64  // events that have left ring and waiting area
	returned []batch // some of them, put back, the oldest first; they go first

	// BlockUpTo.
	waiting fair.Ring
	arrived []time.Time // of the events in waiting, those set aside excepted
	within  time.Duration
}

func newMailbox(cfg subConfig) mailbox {
	return mailbox{
		ring: fair.NewRing(cfg.buffer), waiting: fair.NewRing(cfg.buffer),
		policy: cfg.policy, within: cfg.wait,
	}
}

func (m *mailbox) len() int {
	n := m.ring.Len() + m.waiting.Len()
	for _, b := range m.returned {
		n += len(b.events)
	}
	return n
}

// put buffers e, or drops what the policy says.
func (m *mailbox) put(e *fair.Item) {
	m.expire()
	ring := &m.ring
	late := m.policy == dropLate && (ring.Full() || m.waiting.Len() > 0)
	if late {
		ring = &m.waiting
	}
	if _, gap := e.Of.Gap(); !gap && m.policy != dropOldest && ring.Full() {
		m.carry += e.Lost + 1
		m.lose(e.Of.Node, 1)
		return
	}
	if m.carry > 0 {
		told := *e // others have e as well
		told.Lost += m.carry
		m.carry = 0
		e = &told
	}
	m.lose(e.Of.Node, ring.Push(e))
	if late {
		m.arrived = append(m.arrived, time.Now())
		m.align() // a gap may have displaced one
	}
}

// expire drops what has waited too long. Each event is dropped once, so that
// the cost for each that comes is constant in the mean.
func (m *mailbox) expire() {
	if len(m.arrived) == 0 {
		return
	}
	now := time.Now()
	for len(m.arrived) > 0 && now.Sub(m.arrived[0]) > m.within {
		node, dropped, untold := m.waiting.Drop() // a gap is set aside and waits on
		m.carry += untold
		m.lose(node, dropped)
		m.align()
	}
}

// align drops the times of the events that have left the waiting area: always
// the oldest.
func (m *mailbox) align() {
	n := m.waiting.Len() - m.waiting.Aside()
	m.arrived = m.arrived[len(m.arrived)-n:]
	if n == 0 {
		m.arrived = nil // let the backing array go
	}
}

// lose counts drops, and notes them for the next summary. The node is the one
// whose events did not fit: that is where to look.
func (m *mailbox) lose(node string, n uint64) {
	if n == 0 {
		return
	}
	m.dropped += n
	if m.lost == nil {
		m.lost = make(map[string]uint64)
	}
	m.lost[node] += n
}

// losses returns how many events were lost since the last call, and the node
// that lost the most.
func (m *mailbox) losses() (node string, total uint64) {
	var most uint64
	for key, n := range m.lost {
		total += n
		if n > most || n == most && key < node {
			node, most = key, n
		}
	}
	m.lost = nil
	return node, total
}

// take takes the oldest events, as many as fit in room. With BlockUpTo as many
// come in from the waiting area, or pass right through.
func (m *mailbox) take(room []fair.Item) batch {
	m.expire()
	if len(m.returned) > 0 {
		oldest := &m.returned[0]
		b := batch{at: oldest.at, events: room[:min(len(room), len(oldest.events))]}
		for i := range b.events {
			b.events[i] = oldest.next()
		}
		if len(oldest.events) == 0 {
			m.returned = slices.Delete(m.returned, 0, 1)
		}
		return b
	}
	n := m.ring.Pop(room)
	if m.waiting.Len() > 0 {
		n += m.waiting.Pop(room[n:])
		var one [1]fair.Item
		for !m.ring.Full() && m.waiting.Pop(one[:]) == 1 {
			m.ring.Push(&one[0])
		}
		m.align()
	}
	b := batch{at: m.taken, events: room[:n]}
	m.taken += uint64(n)
	return b
}

// putBack takes back what a consumer has not used, to its place among what
// others have put back.
func (m *mailbox) putBack(b batch) {
	i, _ := slices.BinarySearchFunc(m.returned, b, func(x, y batch) int { return cmp.Compare(x.at, y.at) })
	m.returned = slices.Insert(m.returned, i, b)
}

// A batch is some events that a consumer has taken, in the order in which they
// left the mailbox.
type batch struct {
	at     uint64 // how many had left it before the first
	events []fair.Item
}

// next takes the first event of b.
func (b *batch) next() fair.Item {
	e := b.events[0]
	b.events[0] = fair.Item{} // do not pin the frame
	b.at, b.events = b.at+1, b.events[1:]
	return e
}
