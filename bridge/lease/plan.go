package lease

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// plan says which member should hold which node. members has the nodes that each
// is able to hold, held who holds what now; a holder that is no member, or does
// not have the node, counts for nothing.
//
// Nodes that the same members are able to hold are spread over these so that no
// two differ by more than one, with as few moves as that takes. It depends on its
// arguments alone: all members that see the same plan the same, and do not fight.
func plan(members map[string][]string, held map[string]string) map[string]string {
	able := make(map[string][]string) // by node
	for _, m := range slices.Sorted(maps.Keys(members)) {
		for _, node := range members[m] {
			able[node] = append(able[node], m)
		}
	}
	groups := make(map[string][]string) // nodes by the members that are able to hold them
	for node, ms := range able {
		key := strings.Join(ms, "\x00")
		groups[key] = append(groups[key], node)
	}
	planned := make(map[string]string, len(able))
	for _, nodes := range groups {
		share(nodes, able[nodes[0]], held, planned)
	}
	return planned
}

// share plans the nodes for the members, which are in order and all able to hold
// each of them.
func share(nodes, members []string, held, planned map[string]string) {
	slices.Sort(nodes)
	owned := make(map[string][]string, len(members))
	var free []string
	for _, node := range nodes {
		if m := held[node]; slices.Contains(members, m) {
			owned[m] = append(owned[m], node)
		} else {
			free = append(free, node)
		}
	}
	// What cannot be divided goes to those that have the most already.
	quota, more := len(nodes)/len(members), len(nodes)%len(members)
	byLoad := slices.Clone(members)
	slices.SortStableFunc(byLoad, func(a, b string) int { return len(owned[b]) - len(owned[a]) })
	room := make(map[string]int, len(members))
	for i, m := range byLoad {
		room[m] = quota
		if i < more {
			room[m]++
		}
		mine := owned[m]
		if len(mine) > room[m] { // it keeps those that suit it best
			slices.SortStableFunc(mine, func(a, b string) int { return cmp.Compare(weight(m, b), weight(m, a)) })
			free = append(free, mine[room[m]:]...)
			mine = mine[:room[m]]
		}
		room[m] -= len(mine)
		for _, node := range mine {
			planned[node] = m
		}
	}
	slices.Sort(free)
	for _, node := range free {
		var best string
		var most uint64
		for _, m := range members {
			if room[m] > 0 {
				if w := weight(m, node); best == "" || w > most {
					best, most = m, w
				}
			}
		}
		room[best]--
		planned[node] = best
	}
}

// weight is how well a node suits a member: rendezvous hashing. It must be the
// same everywhere, so it is part of the layout.
func weight(member, node string) uint64 {
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte(member), []byte(node)}, []byte{0}))
	return binary.BigEndian.Uint64(sum[:])
}
