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
	// EventMask is the mask of the session as Asterisk has confirmed it, "on" for
	// all classes; "" while there is no session. EventsFiltered tells that in
	// addition only events come that a subscription names, or the client needs;
	// see WithEventsOnDemand.
	EventMask      string
	EventsFiltered bool

	Pending       int   // actions that wait for their answer
	Outbound      int   // actions that wait to be written
	OutboundBytes int64 // and their bytes
	Queued        int   // events that wait to be dispatched

	Connects, Failures, Losses uint64 // logins, failed attempts, sessions that ended unasked
	BreakerChanges             uint64
	Events                     uint64 // received
	EventsDropped              uint64 // by the node's event queue, before any subscription
	Rejected                   uint64 // malformed messages discarded
	Unmatched                  uint64 // responses with an unknown or no ActionID; events on an action lane that answer nothing
	Late                       uint64 // answers to actions that no longer waited
	ObserverPanics             uint64
	CallbackPanics             uint64 // of SecretFunc, TLSFunc, resolver, dialer and its connections, and of the errors that they return

	// FailuresBy are the failed attempts by what failed; see ConnError.Op. Nil
	// if there were none.
	FailuresBy map[string]uint64
	// Breaker is "closed", "open" or "half-open": whether attempts are made. An
	// open one turns half-open at the next attempt only.
	Breaker string

	// Delivery is that of the subscriptions, LogPanics those of the log handler,
	// which cost a record each; zero for a node of a cluster, whose Stats has them.
	Delivery  DeliveryStats
	LogPanics uint64

	// Lanes are the action lanes, lane 1 first. State to Reason, Connects to
	// BreakerChanges are those of the session that has the events; all other
	// figures are of the node, whatever the lane.
	Lanes []LaneStats
}

// DeliveryStats is a snapshot of the subscriptions of a client or of a cluster,
// closed ones included.
type DeliveryStats struct {
	Subscriptions   int    // open ones
	Buffered        int    // events that wait for their consumers
	Delivered       uint64 // events that consumers have taken
	Dropped         uint64 // events that they have lost, by the queues of nodes included
	PredicatePanics uint64 // see Where
}

// ClusterStats is a snapshot of a cluster.
type ClusterStats struct {
	Nodes     map[string]Stats // by key
	Ready     int              // nodes that take actions
	Delivery  DeliveryStats
	LogPanics uint64 // of the log handler, which cost a record each
}

// Stats returns a snapshot. Its figures are read one after the other, node by
// node.
func (cl *Cluster) Stats() ClusterStats {
	list := cl.members.Load().list
	s := ClusterStats{Nodes: make(map[string]Stats, len(list)), Delivery: cl.hub.stats(), LogPanics: cl.cfg.logPanics.Load()}
	for _, c := range list {
		n := c.Stats()
		if s.Nodes[c.node.Key] = n; n.State == Ready {
			s.Ready++
		}
	}
	return s
}

func (h *hub) stats() DeliveryStats {
	subs := h.listening()
	s := DeliveryStats{
		Subscriptions: len(subs), Delivered: h.delivered.Load(), Dropped: h.dropped.Load(),
		PredicatePanics: h.panics.count.Load(),
	}
	for _, sub := range subs {
		s.Buffered += sub.buffered()
	}
	return s
}

// LaneStats is a snapshot of an action lane; see WithActionLanes.
type LaneStats struct {
	State  State
	Since  time.Time
	Epoch  uint64 // sessions of all lanes are counted together
	Banner string
	Reason error

	Pending       int // actions that left by it, or are about to
	Outbound      int
	OutboundBytes int64

	Connects, Failures, Losses uint64
	BreakerChanges             uint64
	FailuresBy                 map[string]uint64
	Breaker                    string
}

// Stats returns a snapshot. Its figures are read one after the other.
func (c *Client) Stats() Stats {
	m := c.main.stats()
	s := Stats{
		State: m.State, Since: m.Since, Epoch: m.Epoch, Banner: m.Banner, Reason: m.Reason,
		Pending: c.table.Len(), Outbound: m.Outbound, OutboundBytes: m.OutboundBytes, Queued: c.feed.queue.Len(),
		Connects: m.Connects, Failures: m.Failures, Losses: m.Losses,
		BreakerChanges: m.BreakerChanges,
		Events:         c.count.events.Load(), EventsDropped: c.feed.queue.Dropped(),
		Rejected: c.count.rejected.Load(), Unmatched: c.count.unmatched.Load(), Late: c.count.late.Load(),
		ObserverPanics: c.count.observerPanics.count.Load(), CallbackPanics: c.count.callbackPanics.count.Load(),
		Breaker: m.Breaker, FailuresBy: m.FailuresBy,
	}
	if c.cluster == nil {
		s.Delivery, s.LogPanics = c.hub.stats(), c.cfg.logPanics.Load()
	}
	if up := c.main.session.Load(); up != nil {
		s.Booted, s.Stopping = up.booted.Load(), up.shutdown.Load()
		s.EventMask = up.eventMask()
		s.EventsFiltered = up.demand != nil && up.demand.filters()
	}
	for _, l := range c.lanes {
		ls := l.stats()
		s.Outbound += ls.Outbound
		s.OutboundBytes += ls.OutboundBytes
		s.Lanes = append(s.Lanes, ls)
	}
	return s
}

func (l *lane) stats() LaneStats {
	now, _, _ := l.state.get()
	s := LaneStats{
		State: now.To, Since: now.At, Epoch: now.Epoch, Reason: now.Reason,
		Pending:  l.table.Waiting(),
		Connects: l.count.connects.Load(), Failures: l.count.failures.Load(), Losses: l.count.losses.Load(),
		BreakerChanges: l.count.breakerTurns.Load(), Breaker: "closed",
	}
	if b := l.count.breaker.Load(); b != nil {
		s.Breaker = *b
	}
	for i := range l.count.failuresBy {
		if n := l.count.failuresBy[i].Load(); n > 0 {
			if s.FailuresBy == nil {
				s.FailuresBy = make(map[string]uint64)
			}
			s.FailuresBy[ops[i]] = n
		}
	}
	if up := l.session.Load(); up != nil {
		s.Banner = up.banner
		s.Outbound, s.OutboundBytes = up.conn.Depth()
	}
	return s
}
