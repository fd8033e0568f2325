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
		w := newWorld(t, url, 6)
		a, b := w.join(t, "a"), w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})

		before, start := w.moved(), time.Now()
		b.kill()
		require.ErrorIs(t, b.err, nats.ErrConnectionClosed)
		w.await(t, map[string]int{"a": 6})
		require.Less(t, time.Since(start), ttl+slack)
		require.Equal(t, 3, w.moved()-before)

		before = w.moved()
		b = w.join(t, "b")
		w.await(t, map[string]int{"a": 3, "b": 3})
		require.Equal(t, 3, w.moved()-before)

		before = w.moved()
		c := w.join(t, "c")
		w.await(t, map[string]int{"a": 2, "b": 2, "c": 2})
		require.Equal(t, 2, w.moved()-before)
		require.Equal(t, 3, a.Stats().Members)

		before, dead := w.moved(), w.deaths()
		require.NoError(t, c.quit())
		w.await(t, map[string]int{"a": 3, "b": 3})
		require.Equal(t, dead, w.deaths(), "not by expiry")
		require.Equal(t, 2, w.moved()-before)

		require.NoError(t, b.quit())
		require.NoError(t, a.quit())
		require.Equal(t, Stats{Members: 0, Taken: a.Stats().Taken, Given: a.Stats().Taken}, a.Stats())
		js := connect(t, url)
		kv, err := js.KeyValue(t.Context(), w.bucket)
		require.NoError(t, err)
		keys, err := kv.Keys(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{formatKey}, keys, "nothing stays behind")
	})
}

// TestRestart: a process that starts again under its name gets its nodes back
// without a wait, and nothing else moves.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 6)
	a, b := w.join(t, "a"), w.join(t, "b")
	w.await(t, map[string]int{"a": 3, "b": 3})
	was, given := b.Held(), a.Stats().Given
	b.kill()
	b = w.join(t, "b")
	w.await(t, map[string]int{"a": 3, "b": 3})
	require.Zero(t, w.deaths())
	require.Equal(t, was, b.Held())
	require.Equal(t, given, a.Stats().Given)
	require.Zero(t, a.Stats().Lost)
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
	w := newWorld(t, startBroker(t).ClientURL(), 4)
	a := w.join(t, "a")
	w.await(t, map[string]int{"a": 4})
	a.mu.Lock()
	a.slow = true
	a.mu.Unlock()
	b := w.join(t, "b")
	back := a.asked(t, 2)
	require.Len(t, a.Held(), 2)
	require.Empty(t, b.Held())
	a.Release(back[0])
	w.until(t, func(loads map[string]int, _ bool) bool { return loads["b"] == 1 })
	require.Equal(t, back[:1], b.Held())
	a.Release("another") // nothing happens
	a.Release(back[1])
	w.await(t, map[string]int{"a": 2, "b": 2})
	require.EqualValues(t, 2, a.Stats().Given)
}

// TestGrace: a user that never releases does not hold up the end for ever.
func TestGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 4)
	a := w.join(t, "a", func(o *Options) { o.Grace = 50 * time.Millisecond })
	b := w.join(t, "b")
	w.await(t, map[string]int{"a": 2, "b": 2})
	a.mu.Lock()
	a.slow = true
	a.mu.Unlock()
	require.NoError(t, a.quit())
	w.await(t, map[string]int{"b": 4})
	require.Zero(t, w.deaths())
	require.Len(t, b.Held(), 4)
}

// TestLists: a node goes only to those that have it, also when that changes.
func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 5)
	a := w.join(t, "a", func(o *Options) { o.Nodes = w.nodes[:4] })
	b := w.join(t, "b", func(o *Options) { o.Nodes = w.nodes[:5] })
	w.await(t, map[string]int{"a": 2, "b": 3})
	require.Contains(t, b.Held(), w.nodes[4], "only b has it")

	require.NoError(t, b.SetNodes(nil))
	w.until(t, func(loads map[string]int, _ bool) bool { return loads["a"] == 4 && loads["b"] == 0 })
	require.NoError(t, a.SetNodes(w.nodes))
	w.await(t, map[string]int{"a": 5})
	require.NoError(t, b.SetNodes(w.nodes))
	w.until(t, func(loads map[string]int, whole bool) bool { return whole && loads["b"] == 2 })

	var wrong *OptionError
	require.ErrorAs(t, a.SetNodes([]string{""}), &wrong)
	require.Len(t, a.Held(), 3)
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
