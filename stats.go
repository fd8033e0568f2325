package ami

import "time"

// Stats is a snapshot of a node.
type Stats struct {
	State    State
	Since    time.Time // when that state began
	Epoch    uint64    // number of the session, from 1; of the last one while there is none
	Banner   string    // Asterisk's greeting; "" while there is no session
	Booted   bool      // FullyBooted was received in this session; never with Events: off
	Stopping bool      // Asterisk has announced its shutdown
	Reason   error     // why the node is Disconnected

	Pending       int   // actions that wait for their answer
	Outbound      int   // actions that wait to be written
	OutboundBytes int64 // and their bytes
	Queued        int   // events that wait to be dispatched

	Connects, Failures, Losses uint64 // logins, failed attempts, sessions that ended unasked
	BreakerChanges             uint64
	Events                     uint64 // received
	EventsDropped              uint64 // by the node's event queue, before any subscription
	Rejected                   uint64 // malformed messages discarded
	Unmatched                  uint64 // responses with an unknown or no ActionID
	Late                       uint64 // answers to actions that no longer waited
	PredicatePanics            uint64
}

// Stats returns a snapshot. Its figures are read one after the other.
func (c *Client) Stats() Stats {
	now, _, _ := c.state.get()
	s := Stats{
		State: now.To, Since: now.At, Epoch: now.Epoch, Reason: now.Reason,
		Pending: c.table.Len(), Queued: c.feed.queue.Len(),
		Connects: c.count.connects.Load(), Failures: c.count.failures.Load(), Losses: c.count.losses.Load(),
		BreakerChanges: c.count.breakerTurns.Load(),
		Events:         c.count.events.Load(), EventsDropped: c.feed.queue.Dropped(),
		Rejected: c.count.rejected.Load(), Unmatched: c.count.unmatched.Load(), Late: c.count.late.Load(),
		PredicatePanics: c.hub.panics.Load(),
	}
	if up := c.session.Load(); up != nil {
		s.Banner, s.Booted, s.Stopping = up.banner, up.booted.Load(), up.shutdown.Load()
		s.Outbound, s.OutboundBytes = up.conn.Depth()
	}
	return s
}
