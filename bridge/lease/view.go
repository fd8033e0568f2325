package lease

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The version of the layout: keys, values, and what plan returns.
const layoutVersion = 1

// The values of the bucket.
type (
	formatRecord struct {
		Version int `json:"version"`
	}

	// A memberRecord is written again and again: it changes as long as the process
	// lives and reaches the broker.
	memberRecord struct {
		Session    string `json:"session"`    // of one Run
		Generation uint64 `json:"generation"` // of processes under this instance name
		TTL        int64  `json:"ttl_ms"`
		Beat       uint64 `json:"beat"`              // counts the writes
		Leaving    bool   `json:"leaving,omitempty"` // it wants no nodes any more
	}

	// A listRecord has the nodes that a member is able to hold.
	listRecord struct {
		Session string   `json:"session"`
		Nodes   []string `json:"nodes"`
	}

	// A leaseRecord names the holder of a node.
	leaseRecord struct {
		Instance string    `json:"instance"`
		Session  string    `json:"session"`
		Acquired time.Time `json:"acquired"` // by the holder's clock, for people

		// Releasing is set as soon as the holder lets go: nobody counts the node as
		// his any more, but it is not free yet.
		Releasing bool `json:"releasing,omitempty"`
	}
)

// A view is what the bucket says, as one watch has delivered it, and since when
// each member has been silent. It knows no clock.
type view struct {
	self    string // its own instance is never dead
	format  int    // 0: there is none
	members map[string]*member
	lists   map[string]*list
	leases  map[string]*lease // by node
}

type member struct {
	memberRecord
	revision uint64
	heard    time.Time // the last change, or when watching began
	dead     bool
}

type list struct {
	listRecord
	revision uint64
}

type lease struct {
	leaseRecord
	revision uint64
}

func newView(self string) *view {
	return &view{self: self, members: make(map[string]*member), lists: make(map[string]*list), leases: make(map[string]*lease)}
}

// empty reports whether the bucket holds nothing.
func (v *view) empty() bool { return len(v.members)+len(v.lists)+len(v.leases) == 0 }

// apply notes one entry of the watch. It reports whether more has changed than
// that a member lives, and why a value cannot be read: it counts as absent.
func (v *view) apply(e jetstream.KeyValueEntry, now time.Time) (changed bool, err error) {
	gone := e.Operation() != jetstream.KeyValuePut
	kind, name, ok := split(e.Key())
	switch {
	case !ok: // not ours
	case kind == formatKey:
		var r formatRecord
		if !gone {
			err = json.Unmarshal(e.Value(), &r)
		}
		v.format, changed = r.Version, true
	case kind == memberPrefix:
		old := v.members[name]
		m := &member{revision: e.Revision(), heard: now}
		if !gone {
			err = json.Unmarshal(e.Value(), &m.memberRecord)
		}
		if gone || err != nil {
			delete(v.members, name)
			return old != nil, err
		}
		v.members[name] = m
		changed = old == nil || old.dead || old.Session != m.Session || old.Leaving != m.Leaving
	case kind == listPrefix:
		l := &list{revision: e.Revision()}
		if !gone {
			err = json.Unmarshal(e.Value(), &l.listRecord)
		}
		if l.Nodes = slices.Compact(slices.Sorted(slices.Values(l.Nodes))); gone || err != nil {
			delete(v.lists, name)
			return true, err
		}
		v.lists[name], changed = l, true
	case kind == leasePrefix:
		l := &lease{revision: e.Revision()}
		if !gone {
			err = json.Unmarshal(e.Value(), &l.leaseRecord)
		}
		// One that cannot be read is held by nobody, but takes its revision to replace.
		if v.leases[name] = l; gone {
			delete(v.leases, name)
		}
		changed = true
	}
	return changed, err
}

// split takes a key apart.
func split(key string) (kind, name string, ok bool) {
	if key == formatKey {
		return key, "", true
	}
	for _, kind := range []string{memberPrefix, listPrefix, leasePrefix} {
		if rest, ok := strings.CutPrefix(key, kind); ok {
			name, ok = unescape(rest)
			return kind, name, ok
		}
	}
	return "", "", false
}

// patience is how long the member may be silent.
func (m *member) patience() time.Duration {
	return min(max(time.Duration(m.TTL)*time.Millisecond, shortestTTL), MaxTTL)
}

// Tests go below MinTTL.
const shortestTTL = 100 * time.Millisecond

// expire finds the members that had been silent for a TTL when the own write was
// sent that has come back last.
func (v *view) expire(proof time.Time) (dead []string) {
	for name, m := range v.members {
		if name != v.self && !m.dead && proof.Sub(m.heard) >= m.patience() {
			m.dead = true
			dead = append(dead, name)
		}
	}
	slices.Sort(dead)
	return dead
}

// nextExpiry is when the next member dies if it stays silent.
func (v *view) nextExpiry() (at time.Time, ok bool) {
	for name, m := range v.members {
		if t := m.heard.Add(m.patience()); name != v.self && !m.dead && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	return at, ok
}

// doubt begins the count anew for all but the dead: the watch may have missed
// something.
func (v *view) doubt(now time.Time) {
	for _, m := range v.members {
		m.heard = now
	}
}

// inherit takes over from an earlier view who is dead and has not moved since.
func (v *view) inherit(old *view) {
	for name, m := range v.members {
		if o := old.members[name]; o != nil && o.dead && o.revision == m.revision {
			m.dead = true
		}
	}
}

// live returns the members that can be given nodes, with those they are able to
// hold.
func (v *view) live() map[string][]string {
	members := make(map[string][]string, len(v.members))
	for name, m := range v.members {
		if l := v.lists[name]; l != nil && l.Session == m.Session && !m.dead && !m.Leaving {
			members[name] = l.Nodes
		}
	}
	return members
}

// holders returns who holds which node and is not about to let go of it.
func (v *view) holders() map[string]string {
	holders := make(map[string]string, len(v.leases))
	for node, l := range v.leases {
		if !l.Releasing {
			holders[node] = l.Instance
		}
	}
	return holders
}

// alive reports whether a holder must be asked before a node of his is taken. One
// that was cleared away after its death is not, nor one that left.
func (v *view) alive(instance string) bool {
	m := v.members[instance]
	return m != nil && !m.dead
}

// janitor reports whether it is up to this member to clear away dead ones.
func (v *view) janitor() bool {
	names := slices.Sorted(maps.Keys(v.live()))
	return len(names) > 0 && names[0] == v.self
}
