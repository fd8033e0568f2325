package lease

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// memberKey is the key that this process keeps alive.
func (k *Keeper) memberKey() string { return memberPrefix + escape(k.opts.Instance) }

// tick does what is due.
func (s *session) tick() error {
	now := time.Now()
	if s.waiting {
		if !now.Before(s.limit) {
			return errSilent
		}
		return nil
	}
	// Only a write that was sent after a member's time was up proves its death.
	expiry, expects := s.view.nextExpiry()
	if !now.Before(s.due) || expects && !now.Before(expiry) {
		s.pulse(now)
	}
	return nil
}

// wakeup is when something is due again.
func (s *session) wakeup() time.Time {
	at := s.due
	if s.waiting {
		at = s.limit
	} else if expiry, ok := s.view.nextExpiry(); ok && expiry.Before(at) {
		at = expiry
	}
	now := time.Now()
	for _, t := range []time.Time{s.quiet, s.settled()} {
		if t.After(now) && t.Before(at) {
			at = t
		}
	}
	return at
}

// pulse writes the own key: others see that this process lives, and it sees how
// far the watch has come.
func (s *session) pulse(now time.Time) {
	var revision uint64
	if m := s.view.members[s.opts.Instance]; m != nil {
		revision = m.revision
	}
	r := memberRecord{Session: s.session, Generation: s.generation, TTL: s.ttl.Milliseconds(), Beat: s.beat + 1, Leaving: s.leaving}
	if !s.put(s.memberKey(), r, revision, now) {
		s.due = now.Add(s.ttl / 20) // the last one is not over
		return
	}
	s.beat++
	s.sent, s.waiting, s.limit, s.due = now, true, now.Add(s.ttl/2), now.Add(s.ttl/3)
}

// batch takes an entry of the watch and all that wait behind it.
func (s *session) batch(e jetstream.KeyValueEntry) error {
	for range 1000 {
		if err := s.received(e, time.Now()); err != nil {
			return err
		}
		var ok bool
		select {
		case e, ok = <-s.updates:
			if !ok {
				return errWatchClosed
			}
		default:
			return nil
		}
	}
	return s.received(e, time.Now())
}

// received takes an entry of the watch.
func (s *session) received(e jetstream.KeyValueEntry, now time.Time) error {
	if e == nil { // the mark behind what was there at first
		return nil
	}
	if s.note(s.view, e, now) {
		s.planned, s.moved = nil, now
	}
	s.writes.arrived(e.Key())
	if s.view.format != layoutVersion {
		return &VersionError{Bucket: s.opts.Bucket, Found: s.view.format, Wanted: layoutVersion}
	}
	if e.Key() != s.memberKey() {
		return nil
	}
	if err := s.replaced(); err != nil {
		return err
	}
	m := s.view.members[s.opts.Instance]
	switch {
	case m == nil || m.Session != s.session: // cleared away as dead
		if s.waiting = false; now.Before(s.due) {
			s.due = now
		}
	case s.waiting && m.Beat == s.beat:
		s.echo(now)
	}
	return nil
}

// echo notes that the last own write has come back.
func (s *session) echo(now time.Time) {
	if !s.proof.IsZero() && s.sent.Sub(s.proof) > s.ttl*2/3 { // this process or the broker stood still
		s.counters.outages.Add(1)
		s.log.Info("own heartbeat was late: others get their time anew", "pause", s.sent.Sub(s.proof))
		s.doubt(now)
	}
	s.waiting, s.proof = false, s.sent
	for _, name := range s.view.expire(s.proof) {
		s.log.Warn("a member is dead", "member", name)
		s.planned, s.moved = nil, now
	}
}

// written takes the result of a write.
func (s *session) written(w written) error {
	now := time.Now()
	s.writes.finish(w.key, now)
	switch {
	case w.err == nil || outrun(w.err): // the watch tells
		if soon := now.Add(s.ttl / 10); w.err != nil && w.key == s.memberKey() && soon.Before(s.limit) {
			s.limit = soon // or it is that of a bucket that was deleted
		}
		return nil
	case w.key == s.memberKey():
		s.counters.failedWrites.Add(1)
		return fmt.Errorf("writing %s: %w", w.key, w.err)
	}
	s.counters.failedWrites.Add(1)
	s.log.Warn("a key could not be written", "key", w.key, "error", w.err)
	return nil
}
