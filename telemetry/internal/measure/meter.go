// Package measure is what the adapters have in common: what there is to measure,
// under which names, and how it is read.
package measure

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami"
)

// A Meter reads the counters of a client or of a cluster, and counts what their
// observers are told. The zero value reads nothing. Its methods may be called
// from any goroutine.
type Meter struct {
	logDrops func() map[string]uint64
	source   atomic.Pointer[func() ami.ClusterStats]
	tally    tally
	reading  sync.Mutex // one at a time: a later one is of a later moment
}

// CountLogDrops has drops tell how many log records were lost, by reason. To be
// called before anything else.
func CountLogDrops[R ~string](m *Meter, drops func() map[R]uint64) {
	m.logDrops = func() map[string]uint64 { return boundReasons(drops()) }
}

// WatchClient reads c from now on, and nothing else.
func (m *Meter) WatchClient(c *ami.Client) {
	key := c.Node().Key
	m.watch(func() ami.ClusterStats {
		s := c.Stats()
		return ami.ClusterStats{Nodes: map[string]ami.Stats{key: s}, Delivery: s.Delivery, LogPanics: s.LogPanics}
	})
}

// WatchCluster reads cl from now on, and nothing else.
func (m *Meter) WatchCluster(cl *ami.Cluster) { m.watch(cl.Stats) }

func (m *Meter) watch(source func() ami.ClusterStats) { m.source.Store(&source) }

// Count counts an action that has ended.
func (m *Meter) Count(e *ami.ActionEnd) { m.tally.add(e) }

// A Snapshot is one reading.
type Snapshot struct {
	Nodes    []Node              // by key
	Delivery []ami.DeliveryStats // one, or none if nothing is watched
	LogDrops map[string]uint64   // by reason; nil if nobody counts them

	LogPanics uint64
}

// A Node is one node in a Snapshot.
type Node struct {
	Key      string
	Stats    ami.Stats
	Sessions []Session // by lane
	Actions  Actions
}

// A Session is one way to a node. Lane 0 is that of the events.
type Session struct {
	Lane string
	ami.LaneStats
}

// Actions are those of a node that have ended.
type Actions struct {
	Ended [outcomes]uint64
	Time  time.Duration // until their answers, all together
}

// Read returns what is to be told now.
func (m *Meter) Read() *Snapshot {
	m.reading.Lock()
	defer m.reading.Unlock()
	s := new(Snapshot)
	if m.logDrops != nil {
		s.LogDrops = m.logDrops()
	}
	source := m.source.Load()
	if source == nil {
		return s
	}
	counted := m.tally.names() // before the look: one that is new then stays
	now := (*source)()
	m.tally.forget(slices.DeleteFunc(counted, func(key string) bool { _, member := now.Nodes[key]; return member }))
	s.Delivery, s.LogPanics = []ami.DeliveryStats{now.Delivery}, now.LogPanics
	for _, key := range slices.Sorted(maps.Keys(now.Nodes)) {
		n := Node{Key: key, Stats: now.Nodes[key], Actions: m.tally.read(key)}
		n.Sessions = Sessions(&n.Stats)
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

// Sessions lists the lanes of a node. What Stats has of the node as a whole, less
// what the action lanes have, is lane 0's.
func Sessions(s *ami.Stats) []Session {
	main := ami.LaneStats{
		State: s.State, Pending: s.Pending, Outbound: s.Outbound, OutboundBytes: s.OutboundBytes,
		Connects: s.Connects, Failures: s.Failures, Losses: s.Losses,
		BreakerChanges: s.BreakerChanges, FailuresBy: s.FailuresBy, Breaker: s.Breaker,
	}
	list := make([]Session, 1, 1+len(s.Lanes))
	for i, l := range s.Lanes {
		main.Pending -= l.Pending
		main.Outbound -= l.Outbound
		main.OutboundBytes -= l.OutboundBytes
		list = append(list, Session{Lane: strconv.Itoa(i + 1), LaneStats: l})
	}
	main.Pending = max(main.Pending, 0) // the figures were read one after the other
	list[0] = Session{Lane: "0", LaneStats: main}
	return list
}

// reasons are those for which log records are lost; see asynclog.Reason.
var reasons = []string{"capacity_exceeded", "sink_error", "sink_panic", "closed", Other}

// Reasons are those for which log records are lost.
func Reasons() []string { return reasons }

// boundReasons counts under Other what has none of the known reasons.
func boundReasons[R ~string](drops map[R]uint64) map[string]uint64 {
	bounded := make(map[string]uint64, len(reasons))
	for _, r := range reasons {
		bounded[r] = 0
	}
	for r, n := range drops {
		reason := string(r)
		if _, ok := bounded[reason]; !ok {
			reason = Other
		}
		bounded[reason] += n
	}
	return bounded
}
