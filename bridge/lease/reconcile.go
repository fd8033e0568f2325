package lease

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// shares returns who should hold which node.
func (s *session) shares() map[string]string {
	if s.planned == nil {
		members := s.view.live()
		if delete(members, s.opts.Instance); !s.leaving {
			members[s.opts.Instance] = s.able()
		}
		s.counters.members.Store(int64(len(members)))
		holders := s.view.holders()
		for _, node := range s.holds.in(ending, released) {
			if s.mine(node) {
				delete(holders, node)
			}
		}
		s.planned = plan(members, holders)
	}
	return s.planned
}

// mine reports whether the bucket says that this process holds the node.
func (s *session) mine(node string) bool {
	l := s.view.leases[node]
	return l != nil && l.Session == s.session && l.Instance == s.opts.Instance
}

// settled is when nodes may be asked back for others. Until the bucket is calm a
// move of others may still make that needless; but it is not waited for for ever.
func (s *session) settled() time.Time {
	if s.surplus.IsZero() {
		return time.Time{}
	}
	at := s.moved.Add(s.ttl / 20)
	if latest := s.surplus.Add(s.ttl / 2); latest.Before(at) {
		return latest
	}
	return at
}

// reconcile does all that the bucket, the plan and the user ask for. It reports
// whether this process has left and only its own keys are there to be deleted.
func (s *session) reconcile(now time.Time) (left bool) {
	s.learn()
	if s.proof.IsZero() { // the watch may not work; others do not know this process
		return false
	}
	calm := !now.Before(s.quiet)
	s.advertise(now)
	s.keep(now, calm)
	if s.leaving {
		return s.gone(now)
	}
	s.acquire(now, calm)
	if calm && s.view.janitor() {
		s.clear(now)
	}
	return false
}

// learn tells the user what the bucket says.
func (s *session) learn() {
	phases := s.holds.phases()
	for node, p := range phases {
		l := s.view.leases[node]
		switch {
		case p == held && l != nil && l.Instance != s.opts.Instance:
			s.counters.lost.Add(1)
			s.log.Warn("a node was lost", "node", node, "holder", l.Instance)
			s.holds.end(node, true)
		case p == released && !s.mine(node):
			s.holds.forget(node)
			s.planned = nil
		}
	}
	for node, l := range s.view.leases {
		if phases[node] == 0 && !s.leaving && s.mine(node) && s.holds.begin(node, l.revision) {
			s.counters.taken.Add(1)
			s.log.Info("a node was taken", "node", node)
		}
	}
}

// advertise writes which nodes this process is able to hold.
func (s *session) advertise(now time.Time) {
	var revision uint64
	able, l := s.able(), s.view.lists[s.opts.Instance]
	if l != nil {
		revision = l.revision
	}
	if !s.leaving && (l == nil || l.Session != s.session || !slices.Equal(l.Nodes, able)) {
		s.put(listPrefix+escape(s.opts.Instance), listRecord{s.session, able}, revision, now)
	}
}

// keep writes the leases of what is held and deletes those that are not wanted
// any more.
func (s *session) keep(now time.Time, calm bool) {
	able, shares, phases := s.able(), s.shares(), s.holds.phases()
	var surplus []string
	for node, p := range phases {
		l, mine := s.view.leases[node], s.mine(node)
		switch {
		case p == held && l == nil: // the bucket was lost, or somebody deleted the key
			s.lease(node, 0, false, now)
		case p == held && !mine && l.Instance == s.opts.Instance: // the bucket fell back
			s.lease(node, l.revision, false, now)
		case p == held && mine && shares[node] != s.opts.Instance:
			if _, known := slices.BinarySearch(able, node); s.leaving || !known {
				s.give(node)
			} else {
				surplus = append(surplus, node)
			}
		case p == ending && mine && !l.Releasing: // others count on it
			s.lease(node, l.revision, true, now)
		case p == released && mine:
			s.remove(leasePrefix+escape(node), l.revision, now)
		}
	}
	if len(surplus) == 0 || !calm {
		s.surplus = time.Time{}
	} else if s.surplus.IsZero() {
		s.surplus = now
	}
	if !s.surplus.IsZero() && !now.Before(s.settled()) {
		for _, node := range surplus {
			s.log.Info("a node is given to another member", "node", node, "member", shares[node])
			s.give(node)
		}
		s.surplus = time.Time{}
	}
	for node, l := range s.view.leases { // of an earlier process, or a write that came late
		if l.Instance == s.opts.Instance && phases[node] == 0 && (s.leaving || shares[node] != s.opts.Instance) {
			s.remove(leasePrefix+escape(node), l.revision, now)
		}
	}
}

// acquire takes what this process should hold and nobody alive holds.
func (s *session) acquire(now time.Time, calm bool) {
	phases := s.holds.phases()
	for node, member := range s.shares() {
		if member != s.opts.Instance || phases[node] != 0 {
			continue
		}
		switch l := s.view.leases[node]; {
		case l == nil:
			if calm {
				s.lease(node, 0, false, now)
			}
		case l.Instance == s.opts.Instance: // an earlier process had it
			if !s.mine(node) {
				s.lease(node, l.revision, false, now)
			}
		case calm && !s.view.alive(l.Instance):
			s.lease(node, l.revision, false, now)
		}
	}
}

// lease writes that this process holds the node.
func (s *session) lease(node string, revision uint64, releasing bool, now time.Time) {
	r := leaseRecord{Instance: s.opts.Instance, Session: s.session, Acquired: time.Now().UTC(), Releasing: releasing}
	s.put(leasePrefix+escape(node), r, revision, now)
}

// clear deletes what dead members left: first the list, so that none stays behind.
func (s *session) clear(now time.Time) {
	for name, m := range s.view.members {
		if !m.dead {
			continue
		}
		if l := s.view.lists[name]; l != nil {
			s.remove(listPrefix+escape(name), l.revision, now)
		} else {
			s.remove(memberPrefix+escape(name), m.revision, now)
		}
	}
	shares := s.shares()
	for node, l := range s.view.leases {
		if _, known := shares[node]; !known && !s.view.alive(l.Instance) {
			s.remove(leasePrefix+escape(node), l.revision, now)
		}
	}
}

// gone reports whether nothing is held and no write is under way, nor one done
// that the watch has not told of.
func (s *session) gone(now time.Time) bool {
	if len(s.holds.phases()) > 0 || s.writes.flying > 0 {
		return false
	}
	for _, l := range s.view.leases {
		if l.Instance == s.opts.Instance {
			return false
		}
	}
	if s.proof.After(s.writes.leases) {
		return true
	}
	if !s.waiting {
		s.due = now
	}
	return false
}

// farewell deletes the own keys.
func (s *session) farewell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.ttl)
	defer cancel()
	list := s.kv.Delete(ctx, listPrefix+escape(s.opts.Instance))
	var own error
	if m := s.view.members[s.opts.Instance]; m != nil {
		own = s.kv.Delete(ctx, s.memberKey(), jetstream.LastRevision(m.revision))
	}
	if err := errors.Join(list, own); err != nil && !outrun(err) {
		return &LeaveError{Err: err}
	}
	return nil
}
