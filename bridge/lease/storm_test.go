package lease

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStorm: members come, leave and die in any order. In the end the nodes are
// spread evenly, and none was ever without a holder for longer than the time in
// which a death is noticed, or two that follow one another.
func TestStorm(t *testing.T) {
	t.Parallel()
	patiently(t, func(t *testing.T, ttl time.Duration) bool {
		w := newWorld(t, startBroker(t).ClientURL(), 100)
		w.ttl = ttl
		members := make(map[string]*process)
		for i := range 5 {
			name := fmt.Sprint("m", i)
			members[name] = w.join(t, name)
		}
		whole := func(_ map[string]int, whole bool) bool { return whole }
		w.until(t, whole)
		seed := rand.Uint64()
		t.Log("seed", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 20 {
			name := fmt.Sprint("m", r.IntN(5))
			p := members[name]
			switch {
			case p == nil:
				members[name] = w.join(t, name)
			case len(members) == 1: // one stays
			case r.IntN(2) == 0:
				p.kill()
				delete(members, name)
				if r.IntN(2) == 0 { // otherwise the next may die meanwhile
					w.until(t, whole)
				}
			default:
				p.left(t)
				delete(members, name)
			}
		}
		for i := range 5 {
			name := fmt.Sprint("m", i)
			if members[name] == nil {
				members[name] = w.join(t, name)
			}
		}
		w.until(t, func(loads map[string]int, whole bool) bool {
			for _, n := range loads {
				whole = whole && n == 20
			}
			return whole && len(loads) == 5
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		t.Log("longest without a holder", w.worst, "moves", w.moves)
		require.Empty(t, w.gone)
		return w.worst < 4*ttl // a paused machine makes it longer
	})
}
