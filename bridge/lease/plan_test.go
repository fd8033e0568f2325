package lease

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// nodesUpTo returns n names of nodes.
func nodesUpTo(n int) (nodes []string) {
	for i := range n {
		nodes = append(nodes, fmt.Sprintf("n%03d", i))
	}
	return nodes
}

// counts returns how many nodes each member has, and how many of them it does not
// have in before.
func counts(planned, before map[string]string) (loads map[string]int, moves int) {
	loads = make(map[string]int)
	for node, m := range planned {
		loads[m]++
		if before[node] != m {
			moves++
		}
	}
	return loads, moves
}

// TestPlan: who has how many, and what that moves.
func TestPlan(t *testing.T) {
	six, seven := nodesUpTo(6), nodesUpTo(7)
	for _, tc := range []struct {
		name    string
		members map[string][]string
		held    map[string]string
		loads   map[string]int
		moves   int
	}{
		{"nobody", nil, map[string]string{"n000": "a"}, map[string]int{}, 0},
		{"no nodes", map[string][]string{"a": nil}, nil, map[string]int{}, 0},
		{"alone", map[string][]string{"a": six}, nil, map[string]int{"a": 6}, 6},
		{"two from nothing", map[string][]string{"a": six, "b": six}, nil, map[string]int{"a": 3, "b": 3}, 6},
		{"one joins", map[string][]string{"a": six, "b": six}, map[string]string{"n000": "a", "n001": "a", "n002": "a", "n003": "a", "n004": "a", "n005": "a"}, map[string]int{"a": 3, "b": 3}, 3},
		{"one is dead", map[string][]string{"a": six, "b": six}, map[string]string{"n000": "a", "n001": "a", "n002": "b", "n003": "b", "n004": "c", "n005": "c"}, map[string]int{"a": 3, "b": 3}, 2},
		{"the rest stays where it is", map[string][]string{"a": seven, "b": seven}, map[string]string{"n000": "b", "n001": "b", "n002": "b", "n003": "b", "n004": "a", "n005": "a", "n006": "a"}, map[string]int{"a": 3, "b": 4}, 0},
		{"more members than nodes", map[string][]string{"a": six[:1], "b": six[:1]}, map[string]string{"n000": "b"}, map[string]int{"b": 1}, 0},
		{"one has a node more", map[string][]string{"a": six[:4], "b": six[:5]}, nil, map[string]int{"a": 2, "b": 3}, 5},
		{"a holder that lacks the node", map[string][]string{"a": six[:4], "b": six[:5]}, map[string]string{"n004": "a"}, map[string]int{"a": 2, "b": 3}, 5},
		{"two sites", map[string][]string{"a": six[:2], "b": six[:2], "c": six[2:], "d": six[2:]}, nil, map[string]int{"a": 1, "b": 1, "c": 2, "d": 2}, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			planned := plan(tc.members, tc.held)
			loads, moves := counts(planned, tc.held)
			require.Equal(t, tc.loads, loads)
			require.Equal(t, tc.moves, moves)
			for node, m := range planned {
				require.Contains(t, tc.members[m], node)
			}
		})
	}
}

// TestPlanWeight: the choice is part of the layout. Another one needs another
// version.
func TestPlanWeight(t *testing.T) {
	require.Equal(t, uint64(0x7e5944a255919d4b), weight("host-1", "pbx1"))
}

// TestPlanProperties: whatever was held, all nodes are planned, evenly, with the
// fewest moves, and a plan that is carried out stays.
func TestPlanProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		nodes := nodesUpTo(r.IntN(30))
		members := make(map[string][]string)
		n := 1 + r.IntN(6)
		for i := range n {
			members[string(rune('a'+i))] = nodes
		}
		before := make(map[string]string)
		skew := 1 + r.IntN(n+2)
		for _, node := range nodes {
			if r.IntN(4) > 0 {
				before[node] = string(rune('a' + r.IntN(skew))) // some are no members
			}
		}
		planned := plan(members, before)
		require.Len(t, planned, len(nodes))
		loads, moves := counts(planned, before)
		for m := range members {
			require.GreaterOrEqual(t, loads[m], len(nodes)/n)
			require.LessOrEqual(t, loads[m], (len(nodes)+n-1)/n)
		}

		// What nobody alive holds must move, and what one has beyond the share.
		kept := make([]int, 0, n)
		for m := range members {
			have := 0
			for _, h := range before {
				if h == m {
					have++
				}
			}
			kept = append(kept, have)
		}
		slices.Sort(kept)
		slices.Reverse(kept)
		must := len(nodes)
		for i, have := range kept {
			quota := len(nodes) / n
			if i < len(nodes)%n {
				quota++
			}
			must -= min(have, quota)
		}
		require.Equal(t, must, moves)
		require.Equal(t, planned, plan(members, planned))
		require.Equal(t, planned, plan(maps.Clone(members), maps.Clone(before)))
	}
}

// TestPlanHandover: on the way from one plan to the next, whoever moves first, no
// node is asked back that the new plan did not ask back at once.
func TestPlanHandover(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		nodes := nodesUpTo(1 + r.IntN(30))
		n := 1 + r.IntN(4)
		members := make(map[string][]string)
		for i := range n {
			members[string(rune('a'+i))] = nodes
		}
		now := plan(members, nil)
		members[string(rune('a'+n))] = nodes // one joins; its name is the last or the first
		if r.IntN(2) == 0 {
			members["0"] = nodes
			delete(members, string(rune('a'+n)))
		}
		goal := plan(members, now)
		var moving []string
		for node, m := range goal {
			if now[node] != m {
				moving = append(moving, node)
			}
		}
		held := maps.Clone(now) // that all have said what they let go of
		for _, node := range moving {
			delete(held, node)
		}
		slices.Sort(moving)
		r.Shuffle(len(moving), func(i, j int) { moving[i], moving[j] = moving[j], moving[i] })
		for _, node := range moving {
			require.Equal(t, goal, plan(members, held))
			held[node] = goal[node]
		}
		require.Equal(t, goal, held)
	}
}
