package lease

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestSpread: members join, die, come back and leave. Every step moves no more
// nodes than it must, and is as fast as it may be.
func TestSpread(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, url string) {
		patiently(t, func(t *testing.T, ttl time.Duration) bool { return spread(t, url, ttl) })
	})
}

func spread(t *testing.T, url string, ttl time.Duration) (undisturbed bool) {
	w := newWorld(t, url, 6)
	w.ttl = ttl
	a, b := w.join(t, "a"), w.join(t, "b")
	w.await(t, map[string]int{"a": 3, "b": 3})
	before := w.moved()
	step := func(want map[string]int) (moved int) {
		w.await(t, want)
		moved, before = w.moved()-before, w.moved()
		return moved
	}

	start := time.Now()
	b.kill()
	require.ErrorIs(t, b.err, nats.ErrConnectionClosed)
	died := step(map[string]int{"a": 6})
	took := time.Since(start)
	b = w.join(t, "b")
	cameBack := step(map[string]int{"a": 3, "b": 3})
	c := w.join(t, "c")
	joined := step(map[string]int{"a": 2, "b": 2, "c": 2})
	members := a.Stats().Members
	c.left(t)
	left := step(map[string]int{"a": 3, "b": 3})
	b.left(t)
	a.left(t)
	if !w.undisturbed(1, 0) || took > 2*ttl { // the one that died; the one that left not by expiry
		return false
	}
	require.Equal(t, []int{3, 3, 2, 2}, []int{died, cameBack, joined, left})
	require.Equal(t, 3, members)
	stats := a.Stats()
	require.Equal(t, Stats{Taken: stats.Taken, Given: stats.Taken, Outages: stats.Outages, Failed: stats.Failed}, stats)
	js := connect(t, url)
	kv, err := js.KeyValue(t.Context(), w.bucket)
	require.NoError(t, err)
	keys, err := kv.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{formatKey}, keys, "nothing stays behind")
	return true
}

// TestRestart: a process that starts again under its name gets its nodes back
// without a wait, and nothing else moves.
func TestRestart(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 6)
		w.ttl = ttl
		a, b := w.join(t, "a"), w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		was, given := b.Held(), a.Stats().Given
		b.kill()
		b = w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		now, givenNow := b.Held(), a.Stats().Given
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Equal(t, was, now)
		require.Equal(t, given, givenNow)
		require.Zero(t, a.Stats().Lost)
		return true
	})
}

// TestReplaced: of two processes under one name the later one stays.
func TestReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 4)
	first := w.join(t, "a")
	w.await(t, map[string]int{"a": 4})
	second := w.join(t, "a")
	var replaced *ReplacedError
	require.ErrorAs(t, first.ended(), &replaced)
	require.Equal(t, "a", replaced.Instance)
	require.Empty(t, first.Held())
	w.until(t, func(map[string]int, bool) bool { return len(second.Held()) == 4 })
}

// TestDrain: what is asked back stays with its holder until it was released.
func TestDrain(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 4)
		w.ttl = ttl
		a := w.join(t, "a")
		w.await(t, map[string]int{"a": 4})
		a.mu.Lock()
		a.slow = true
		a.mu.Unlock()
		b := w.join(t, "b")
		back := a.asked(t, 2)
		aHeld, bHeld := a.Held(), b.Held()
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Len(t, aHeld, 2)
		require.Empty(t, bHeld)
		a.Release(back[0])
		w.until(t, func(loads map[string]int, _ bool) bool { return loads["b"] > 0 })
		bHeld = b.Held()
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Equal(t, back[:1], bHeld)
		a.Release("another") // nothing happens
		a.Release(back[1])
		w.until(t, func(_ map[string]int, whole bool) bool { return whole || !w.undisturbed(0, 0) })
		given := a.Stats().Given
		if !w.undisturbed(0, 0) {
			return false
		}
		w.await(t, map[string]int{"a": 2, "b": 2})
		require.EqualValues(t, 2, given)
		return true
	})
}

// TestGrace: a user that never releases does not hold up the end for ever.
func TestGrace(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 4)
		w.ttl = ttl
		a := w.join(t, "a", func(o *Options) { o.Grace = 50 * time.Millisecond })
		b := w.join(t, "b")
		w.await(t, map[string]int{"a": 2, "b": 2})
		a.mu.Lock()
		a.slow = true
		a.mu.Unlock()
		a.left(t)
		w.await(t, map[string]int{"b": 4})
		require.Len(t, b.Held(), 4)
		return w.undisturbed(0, 0) // not by expiry
	})
}

// TestLists: a node goes only to those that have it, also when that changes.
func TestLists(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 5)
		w.ttl = ttl
		a := w.join(t, "a", func(o *Options) { o.Nodes = w.nodes[:4] })
		b := w.join(t, "b", func(o *Options) { o.Nodes = w.nodes[:5] })
		w.await(t, map[string]int{"a": 2, "b": 3})
		only := b.Held()
		require.NoError(t, b.SetNodes(nil))
		w.until(t, func(loads map[string]int, _ bool) bool { return loads["a"] == 4 && loads["b"] == 0 })
		require.NoError(t, a.SetNodes(w.nodes))
		w.await(t, map[string]int{"a": 5})
		require.NoError(t, b.SetNodes(w.nodes))
		w.until(t, func(loads map[string]int, whole bool) bool { return whole && loads["b"] == 2 })

		var wrong *OptionError
		require.ErrorAs(t, a.SetNodes([]string{""}), &wrong)
		after := a.Held()
		if !w.undisturbed(0, 0) {
			return false
		}
		require.Contains(t, only, w.nodes[4], "b alone has it")
		require.Len(t, after, 3)
		return true
	})
}

// TestRunsOnce: a Keeper cannot be started again.
func TestRunsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 1)
	a := w.join(t, "a")
	w.await(t, map[string]int{"a": 1})
	require.ErrorIs(t, a.Run(t.Context()), ErrStarted)
	require.NoError(t, a.quit())
	require.ErrorIs(t, a.Run(t.Context()), ErrStarted)
	_, open := <-a.Changes()
	require.False(t, open)
}
