package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Why a watch ended.
var (
	errAway        = errors.New("no connection to the broker")
	errSlow        = errors.New("the broker is too slow to read the bucket")
	errReconnected = errors.New("the connection was lost")
	errSilent      = errors.New("the watch does not deliver what was written")
	errWatchClosed = errors.New("the watch was closed")
	errLate        = errors.New("the broker did not take it in time")
)

// A session is the time of one watch. Its methods run on the goroutine of Run.
type session struct {
	*Keeper
	kv      jetstream.KeyValue
	updates <-chan jetstream.KeyValueEntry // the watch; nil: there is none yet
	writes  *writes

	planned map[string]string // nil: has to be made anew

	sent    time.Time // the last write of the own key
	waiting bool      // for it to come back
	limit   time.Time // until then
	proof   time.Time // when the last that came back was sent
	due     time.Time // the next
	quiet   time.Time // until then nodes stay where they are
	moved   time.Time // when more changed than that a member lives
	surplus time.Time // since when this process has more than its share; zero: it has not
}

// watch keeps leases as long as a watch of the bucket lasts. It returns nil if the
// Keeper has left.
func (k *Keeper) watch(ctx context.Context) error {
	conn := k.js.Conn()
	status := conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer conn.RemoveStatusListener(status)

	// The end of ctx begins the work of leaving.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	s := &session{Keeper: k, writes: newWrites(inner, &running, k.ttl)}
	defer func() {
		cancel()
		s.drain()
		running.Wait()
	}()

	if !conn.IsConnected() {
		return errAway
	}
	late := time.AfterFunc(max(k.ttl/2, time.Second), cancel)
	if err := s.open(inner); !late.Stop() {
		return errSlow
	} else if err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case e, ok := <-s.updates:
			if !ok {
				return errWatchClosed
			}
			if err := s.batch(e); err != nil {
				return err
			}
		case w := <-s.writes.results:
			if err := s.written(w); err != nil {
				return err
			}
		case <-timer.C:
			if err := s.tick(); err != nil {
				return err
			}
		case <-k.holds.wake:
			s.planned = nil // the nodes may be others
		case <-status:
			return errReconnected
		case <-k.done(ctx):
			k.leave()
			s.planned, s.due = nil, time.Now()
		case <-k.force:
			if over, err := k.late(); over {
				return err
			}
		}
		if left := s.reconcile(time.Now()); left {
			return s.farewell(inner)
		}
		proof := s.proof
		k.proved.Store(&proof) // and the holds are what the bucket said then
		timer.Reset(time.Until(s.wakeup()))
	}
}

// open opens the bucket and reads all of it. What comes after that is on updates,
// until the end of ctx.
func (s *session) open(ctx context.Context) (err error) {
	if s.kv, err = s.bucket(ctx); err != nil {
		return fmt.Errorf("opening bucket %s: %w", s.opts.Bucket, err)
	}
	watcher, err := s.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching bucket %s: %w", s.opts.Bucket, err)
	}
	s.updates = watcher.Updates()
	fresh, now := newView(s.opts.Instance), time.Now()
	for e := range s.updates {
		if e == nil { // that was all
			return s.begin(ctx, fresh)
		}
		s.note(fresh, e, now)
	}
	return errWatchClosed
}

// drain waits for the end of a watch whose context has ended: it may be blocked
// on what nobody reads. Stop is no alternative, it waits for the broker.
func (s *session) drain() {
	late := time.After(5 * time.Second)
	for s.updates != nil {
		select {
		case _, open := <-s.updates:
			if !open {
				return
			}
		case <-late:
			s.log.Warn("the watch does not end")
			return
		}
	}
}

// bucket opens the bucket, or creates it.
func (s *session) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := s.js.KeyValue(ctx, s.opts.Bucket)
	if err == nil {
		return kv, s.lasting(ctx, kv)
	}
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, err
	}
	cfg := jetstream.KeyValueConfig{
		Bucket: s.opts.Bucket, Description: "who holds which node", Replicas: s.opts.Replicas, Storage: jetstream.FileStorage,
	}
	if s.opts.Memory {
		cfg.Storage = jetstream.MemoryStorage
	}
	if kv, err = s.js.CreateKeyValue(ctx, cfg); errors.Is(err, jetstream.ErrBucketExists) { // another was faster
		return s.js.KeyValue(ctx, s.opts.Bucket)
	}
	return kv, err
}

// lasting checks that the bucket does not lose leases by itself.
func (s *session) lasting(ctx context.Context, kv jetstream.KeyValue) error {
	status, err := kv.Status(ctx)
	if err == nil && status.TTL() > 0 {
		return &OptionError{"Bucket", s.opts.Bucket + " expires its values after " + status.TTL().String()}
	}
	return err
}

// begin checks the layout of the bucket and makes fresh the view. What is free is
// not taken at once: processes that are started together shall not hand nodes
// around, and a bare bucket may be one that was lost, with holders who have yet to
// notice.
func (s *session) begin(ctx context.Context, fresh *view) error {
	bare := fresh.format == 0
	switch {
	case bare && !fresh.empty():
		return &VersionError{Bucket: s.opts.Bucket, Wanted: layoutVersion}
	case bare:
		if err := s.stamp(ctx); err != nil {
			return err
		}
	case fresh.format != layoutVersion:
		return &VersionError{Bucket: s.opts.Bucket, Found: fresh.format, Wanted: layoutVersion}
	}
	fresh.format = layoutVersion
	now, again := time.Now(), s.view != nil
	if again {
		fresh.inherit(s.view)
	}
	s.view, s.due = fresh, now
	if s.generation == 0 { // the first time
		s.generation = 1
		if m := fresh.members[s.opts.Instance]; m != nil {
			s.generation = m.Generation + 1
		}
	} else if err := s.replaced(); err != nil {
		return err
	}
	if again {
		s.doubt(now)
	} else if s.quiet = now.Add(s.ttl / 5); bare {
		s.quiet = now.Add(s.ttl)
	}
	if s.trouble != "" {
		s.trouble = ""
		s.log.Info("leases can be kept again")
	}
	return nil
}

// stamp writes the version of the layout into an empty bucket.
func (s *session) stamp(ctx context.Context) error {
	_, err := s.kv.Create(ctx, formatKey, encode(formatRecord{layoutVersion}))
	if !outrun(err) {
		return err
	}
	e, err := s.kv.Get(ctx, formatKey)
	if err != nil {
		return err
	}
	other := newView("")
	if _, err = other.apply(e, time.Time{}); err != nil || other.format != layoutVersion {
		return &VersionError{Bucket: s.opts.Bucket, Found: other.format, Wanted: layoutVersion}
	}
	return nil
}

// doubt begins all counts anew: the others may be as late as this one to come
// back. They have to wait for a new connection, too.
func (s *session) doubt(now time.Time) {
	o := s.js.Conn().Opts
	again := now.Add(o.ReconnectWait + o.ReconnectJitter)
	s.view.doubt(again)
	s.quiet = again.Add(s.ttl)
}

// replaced tells if a later process has the instance name. A broker that fell
// back to an older state may show an earlier one.
func (s *session) replaced() error {
	m := s.view.members[s.opts.Instance]
	if m == nil || m.Session == s.session {
		return nil
	}
	if m.Generation > s.generation || m.Generation == s.generation && m.Session > s.session {
		return &ReplacedError{Instance: s.opts.Instance}
	}
	return nil
}

// note applies an entry and counts what cannot be read.
func (s *session) note(v *view, e jetstream.KeyValueEntry, now time.Time) (changed bool) {
	changed, err := v.apply(e, now)
	if err != nil {
		s.counters.unreadableKeys.Add(1)
		s.log.Warn("a value in the bucket cannot be read", "key", e.Key(), "error", err)
	}
	return changed
}
