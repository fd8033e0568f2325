package asynclog

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBacklog compares it with a slice.
func TestBacklog(t *testing.T) {
	var b backlog
	var model []slog.Level
	next := slog.Level(0)
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		n := rnd.IntN(3 * chunkLen)
		for range n {
			if round%2 == 0 {
				next++
				b.add().record.Level = next
				model = append(model, next)
			} else if len(model) > 0 {
				var e entry
				b.take(&e)
				require.Equal(t, model[0], e.record.Level)
				model = model[1:]
			}
			require.Equal(t, len(model), b.n)
		}
		if round%100 == 99 { // all of it
			for len(model) > 0 {
				var e entry
				b.take(&e)
				require.Equal(t, model[0], e.record.Level)
				model = model[1:]
			}
			require.Same(t, b.first, b.last, "the memory of a burst is given back")
			require.Nil(t, b.first.next)
			for _, c := range []*chunk{b.first, b.spare} {
				if c != nil {
					require.Equal(t, chunk{}, *c, "nothing is pinned")
				}
			}
		}
	}
	require.Greater(t, int(next), 10*chunkLen)
}
