package ami

import (
	"slices"
	"time"

	"github.com/apn/ami/event"
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

	returned []event.Event // taken and put back; they go first

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

func (m *mailbox) len() int { return len(m.returned) + m.ring.Len() + m.waiting.Len() }

// put buffers e, or drops what the policy says.
func (m *mailbox) put(e event.Event) {
	m.expire()
	ring := &m.ring
	late := m.policy == dropLate && (ring.Full() || m.waiting.Len() > 0)
	if late {
		ring = &m.waiting
	}
	if _, gap := e.Gap(); !gap && m.policy != dropOldest && ring.Full() {
		m.carry += e.Lost + 1
		m.lose(e.Node, 1)
		return
	}
	e.Lost += m.carry
	m.carry = 0
	m.lose(e.Node, ring.Push(e))
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

// take moves the oldest events to dst and returns how many. With BlockUpTo as
// many come in from the waiting area, or pass right through.
func (m *mailbox) take(dst []event.Event) (n int) {
	m.expire()
	if len(m.returned) > 0 {
		n = copy(dst, m.returned)
		m.returned = slices.Delete(m.returned, 0, n)
		return n
	}
	n = m.ring.Pop(dst)
	if m.waiting.Len() == 0 {
		return n
	}
	n += m.waiting.Pop(dst[n:])
	var one [1]event.Event
	for !m.ring.Full() && m.waiting.Pop(one[:]) == 1 {
		m.ring.Push(one[0])
	}
	m.align()
	return n
}

func (m *mailbox) putBack(events []event.Event) { m.returned = append(events, m.returned...) }
