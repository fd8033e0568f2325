package lease

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestHolds: what the user is told, step by step.
func TestHolds(t *testing.T) {
	h := newHolds()
	next := func(want Change) {
		t.Helper()
		c, ok := h.pop()
		require.True(t, ok)
		require.Equal(t, want, c)
	}
	quiet := func() {
		t.Helper()
		_, ok := h.pop()
		require.False(t, ok)
	}

	require.True(t, h.begin("x", 7))
	require.False(t, h.begin("x", 8), "he holds it already")
	next(Change{Node: "x", Held: true, Revision: 7})
	require.Equal(t, []string{"x"}, h.in(held))

	h.release("x") // was not asked for
	require.Equal(t, []string{"x"}, h.in(held))
	require.True(t, h.end("x", true))
	require.False(t, h.end("x", false), "he was told")
	next(Change{Node: "x", Lost: true, Revision: 7})
	require.False(t, h.begin("x", 9), "he is not done with it")
	h.forget("x")
	require.Equal(t, []string{"x"}, h.in(ending))
	h.release("x")
	require.Equal(t, map[string]phase{"x": released}, h.phases())
	require.False(t, h.begin("x", 9), "the key is not settled")
	h.forget("x")
	require.Empty(t, h.phases())
	quiet()

	require.False(t, h.end("y", false), "he never had it")
	require.True(t, h.begin("y", 1))
	require.True(t, h.end("y", false))
	quiet() // he need not know
	require.Equal(t, []string{"y"}, h.in(released))

	h.forget("y")
	require.True(t, h.begin("z", 2))
	h.abandon()
	require.Equal(t, []string{"z"}, h.in(released))
}

// TestPump: changes come in their order, however slow the reader is, and the end
// does not wait for him.
func TestPump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out, stop := newHolds(), make(chan Change), make(chan struct{})
		go h.pump(out, stop)
		for _, node := range []string{"x", "y", "z"} {
			require.True(t, h.begin(node, 1))
		}
		synctest.Wait()                   // x is on its way
		require.True(t, h.end("x", true)) // so he is told of both
		require.True(t, h.end("y", true)) // he is told of none
		require.Equal(t, Change{Node: "x", Held: true, Revision: 1}, <-out)
		require.Equal(t, Change{Node: "z", Held: true, Revision: 1}, <-out)
		require.Equal(t, Change{Node: "x", Lost: true, Revision: 1}, <-out)
		synctest.Wait() // it waits for more
		require.True(t, h.end("z", false))
		synctest.Wait() // it waits for the reader
		close(stop)
		_, open := <-out
		for open {
			_, open = <-out
		}
	})
}
