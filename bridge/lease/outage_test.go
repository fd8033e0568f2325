package lease

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestBrokerRestart: nothing moves because the broker was away, whether it comes
// back with the bucket or without. That a third member then gets its share, and
// nothing else has moved, shows that the wait is over.
func TestBrokerRestart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		memory bool
	}{{"file", false}, {"memory", true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			patiently(t, func(t *testing.T, ttl time.Duration) bool {
				b := startBroker(t)
				w := newWorld(t, b.ClientURL(), 6)
				w.ttl = ttl
				kept := func(o *Options) { o.Memory = tc.memory }
				w.join(t, "a", kept)
				w.join(t, "b", kept)
				w.await(t, map[string]int{"a": 3, "b": 3})
				before := w.moved()
				for range 2 {
					b.stop()
					b.start(t)
				}
				c := w.join(t, "c", kept)
				w.await(t, map[string]int{"a": 2, "b": 2, "c": 2})
				moved := w.moved() - before
				c.left(t)
				if !w.undisturbed(0, 0) {
					return false
				}
				require.Equal(t, 2, moved)
				return true
			})
		})
	}
}

// TestBucketDeleted: holders write their leases anew while the broker runs on.
func TestBucketDeleted(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 6)
		w.ttl = ttl
		w.join(t, "a")
		w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		before := w.moved()
		js := connect(t, w.url)
		require.NoError(t, js.DeleteKeyValue(t.Context(), w.bucket))
		w.join(t, "c")
		w.await(t, map[string]int{"a": 2, "b": 2, "c": 2})
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Equal(t, 2, w.moved()-before)
		return true
	})
}

// TestLeaseDeleted: a key that somebody deletes comes back, and nothing moves.
func TestLeaseDeleted(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 4)
		w.ttl = ttl
		w.join(t, "a")
		w.join(t, "b")
		w.await(t, map[string]int{"a": 2, "b": 2})
		before := w.moved()
		js := connect(t, w.url)
		kv, err := js.KeyValue(t.Context(), w.bucket)
		require.NoError(t, err)
		watcher, err := kv.WatchAll(t.Context(), jetstream.UpdatesOnly())
		require.NoError(t, err)
		defer func() { require.NoError(t, watcher.Stop()) }()
		missing := make(map[string]bool)
		for _, node := range w.nodes {
			key := leasePrefix + escape(node)
			missing[key] = true
			require.NoError(t, kv.Delete(t.Context(), key))
		}
		late := time.After(soon)
		for len(missing) > 0 {
			select {
			case e := <-watcher.Updates():
				if e.Operation() == jetstream.KeyValuePut {
					delete(missing, e.Key())
				}
			case <-late:
				require.Fail(t, "never written again", "%v", missing)
			}
		}
		w.await(t, map[string]int{"a": 2, "b": 2})
		if !w.undisturbed(0, 0) {
			return false
		}
		require.LessOrEqual(t, w.moved()-before, 4)
		return true
	})
}

// A link is a proxy that can be cut.
type link struct {
	net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
	all   sync.WaitGroup
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &link{Listener: l, to: to}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		p.setCut(true)
		p.all.Wait()
	})
	return p
}

func (l *link) accept() {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil {
			near.Close()
			continue
		}
		l.mu.Lock()
		if l.cut {
			near.Close()
			far.Close()
		}
		l.conns = append(l.conns, near, far)
		l.mu.Unlock()
		for _, c := range [][2]net.Conn{{near, far}, {far, near}} {
			l.all.Go(func() {
				_, _ = io.Copy(c[0], c[1]) // until one of them is closed
				c[0].Close()
				c[1].Close()
			})
		}
	}
}

// setCut ends all connections and lets no new one through, or lets them again.
func (l *link) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// TestPartition: a member that does not reach the broker keeps its nodes until it
// learns that they were taken over.
func TestPartition(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		broker := startBroker(t)
		w := newWorld(t, broker.ClientURL(), 6)
		w.ttl = ttl
		l := newLink(t, broker.Addr().String())
		a := w.join(t, "a")
		b := w.joinBy(t, connect(t, "nats://"+l.Addr().String()), "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		given := a.Stats().Given // it may have had all of them at first
		before, start := w.moved(), time.Now()
		l.setCut(true)
		w.until(t, func(loads map[string]int, _ bool) bool { return loads["a"] == 6 })
		took := time.Since(start)
		apart, lost := b.Held(), b.Stats().Lost
		l.setCut(false)
		w.await(t, map[string]int{"a": 3, "b": 3})
		if !w.undisturbed(1, 3) || took > 2*ttl {
			return false
		}
		require.Len(t, apart, 3, "it knew nothing")
		require.Zero(t, lost)
		require.Equal(t, 6, w.moved()-before)
		require.EqualValues(t, 3, b.Stats().Lost)
		require.EqualValues(t, 3, a.Stats().Given-given)
		require.Positive(t, b.Stats().Outages)
		return true
	})
}

// TestLeavingAlone: without the broker the end waits for the user alone, and says
// that others were not told.
func TestLeavingAlone(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	w := newWorld(t, broker.ClientURL(), 3)
	a := w.join(t, "a", func(o *Options) { o.Grace = MaxGrace })
	w.await(t, map[string]int{"a": 3})
	broker.stop()
	start := time.Now()
	var left *LeaveError
	require.ErrorAs(t, a.quit(), &left)
	require.Less(t, time.Since(start), a.opts.Grace)
	require.Equal(t, w.nodes, left.Nodes)
	require.Error(t, left.Err)
}

// TestNoBroker: one that never was there is waited for, and there is nothing to
// tell if it never comes.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	w := newWorld(t, broker.ClientURL(), 3)
	js, other := connect(t, w.url), connect(t, w.url)
	broker.stop()
	a, b := w.joinBy(t, js, "a"), w.joinBy(t, other, "b")
	require.NoError(t, b.quit())
	broker.start(t)
	w.await(t, map[string]int{"a": 3})
	require.NoError(t, a.quit())
}

// TestSealed: a bucket that takes nothing any more holds up neither the nodes nor
// the end.
func TestSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 3)
	a := w.join(t, "a", func(o *Options) { o.TTL, o.Grace = MinTTL, 50*time.Millisecond })
	w.await(t, map[string]int{"a": 3})
	js := connect(t, w.url)
	stream, err := js.Stream(t.Context(), "KV_"+w.bucket)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.Sealed = true
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	w.until(t, func(map[string]int, bool) bool { return a.Stats().Failed > 0 })
	require.Equal(t, w.nodes, a.Held())
	start := time.Now()
	var left *LeaveError
	require.ErrorAs(t, a.quit(), &left)
	require.Equal(t, w.nodes, left.Nodes)
	require.Less(t, time.Since(start), soon)
}

// TestWatchLost: a watch that the broker has forgotten is noticed, and opened
// anew; nothing moves for it.
func TestWatchLost(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 6)
		w.ttl = ttl
		a := w.join(t, "a")
		b := w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		before := w.moved()
		js := connect(t, w.url)
		stream, err := js.Stream(t.Context(), "KV_"+w.bucket)
		require.NoError(t, err)
		deleted := 0
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if err := stream.DeleteConsumer(t.Context(), name); !errors.Is(err, jetstream.ErrConsumerNotFound) {
				require.NoError(t, err)
				deleted++
			}
		}
		if deleted != 2 && w.strained() { // a watch was just opened anew
			return false
		}
		require.Equal(t, 2, deleted)
		w.join(t, "c")
		w.await(t, map[string]int{"a": 2, "b": 2, "c": 2})
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Equal(t, 2, w.moved()-before)
		require.Positive(t, a.Stats().Outages)
		require.Positive(t, b.Stats().Outages)
		return true
	})
}
