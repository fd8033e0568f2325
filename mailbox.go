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
type mailbox struct {
	ring   fair.Ring
	policy dropPolicy
	carry  uint64 // lost since the last event that was buffered

	lost map[string]uint64 // by node, since the last losses; nil if none

	returned []event.Event // taken and put back; they go first

	// BlockUpTo: the ring holds the buffer and behind it the waiting area.
	room    int // events that are in the buffer proper, at most
	within  time.Duration
	arrived []time.Time // of the events in the waiting area, oldest first
}

func newMailbox(cfg subConfig) mailbox {
	limit := cfg.buffer
	if cfg.policy == dropLate {
		limit *= 2
	}
	return mailbox{ring: fair.NewRing(limit), policy: cfg.policy, room: cfg.buffer, within: cfg.wait}
}

func (m *mailbox) len() int { return m.ring.Len() + len(m.returned) }

// put buffers e and returns how many events that cost.
func (m *mailbox) put(e event.Event) uint64 {
	_, gap := e.Gap()
	if m.policy != dropOldest && m.ring.Full() && !gap {
		m.carry += e.Lost + 1
		m.lose(e.Node, 1)
		return 1
	}
	e.Lost += m.carry
	m.carry = 0
	if m.policy == dropLate && m.ring.Len() >= m.room {
		m.arrived = append(m.arrived, time.Now())
	}
	dropped := m.ring.Push(e)
	if n := m.ring.Len() - m.room; len(m.arrived) > max(n, 0) { // a gap displaced one
		m.arrived = m.arrived[1:]
	}
	m.lose(e.Node, dropped)
	return dropped
}

// lose notes drops for the next summary. The node is the one whose events did
// not fit: that is where to look.
func (m *mailbox) lose(node string, n uint64) {
	if n == 0 {
		return
	}
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

// take moves the oldest events to dst. With BlockUpTo, the events behind the
// room that this makes come in, if they have not waited too long.
func (m *mailbox) take(dst []event.Event) (n int, dropped uint64) {
	if len(m.returned) > 0 {
		n = copy(dst, m.returned)
		m.returned = slices.Delete(m.returned, 0, n)
		return n, 0
	}
	n = m.ring.Pop(dst)
	if len(m.arrived) == 0 {
		return n, 0
	}
	return n, m.admit()
}

// admit drops the events of the waiting area that were late for the room that
// there is now, and lets the others in.
func (m *mailbox) admit() (dropped uint64) {
	all := make([]event.Event, m.ring.Len())
	m.ring.Pop(all)
	inside := len(all) - len(m.arrived)
	arrived := m.arrived
	m.arrived = nil
	var lost uint64
	now := time.Now()
	for i, e := range all {
		if i >= inside {
			at := arrived[i-inside]
			if _, gap := e.Gap(); !gap && now.Sub(at) > m.within {
				lost += e.Lost + 1
				dropped++
				m.lose(e.Node, 1)
				continue
			}
			if m.ring.Len() >= m.room {
				m.arrived = append(m.arrived, at)
			}
		}
		e.Lost += lost
		lost = 0
		m.ring.Push(e)
	}
	m.carry += lost
	return dropped
}

func (m *mailbox) putBack(events []event.Event) { m.returned = append(events, m.returned...) }
