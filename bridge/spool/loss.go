package spool

import (
	"maps"
	"slices"
)

// A Loss tells that entries are missing.
type Loss struct {
	// Group whose entries they were. If Unknown is set, it could not be read: they
	// may be of any group, or of several.
	Group   string
	Unknown bool

	Count       uint64
	First, Last Position // where the first and the last of them were

	// Tail is how the data of the last of them began: TailBytes of it, or all. Nil
	// if Unknown is set.
	Tail []byte
}

// TailBytes is how much of the last entry a Loss has.
const TailBytes = 64

// A tally counts what a dropped range had of one group.
type tally struct {
	Count uint64   `json:"count"`
	First Position `json:"first"`
	Last  Position `json:"last"`
	Tail  []byte   `json:"tail"`
}

// A dropped range is a run of entries that made room for others.
type dropped struct {
	First  Position          `json:"first"`
	Last   Position          `json:"last"`
	Groups map[string]*tally `json:"groups"`
}

// tallied counts the entries of a block at or behind from.
func tallied(entries scan, from, last Position) *dropped {
	d := &dropped{First: from, Last: last, Groups: make(map[string]*tally)}
	for e, ok := entries.next(); ok; e, ok = entries.next() {
		if e.pos < from {
			continue
		}
		t := d.Groups[string(e.group)]
		if t == nil {
			t = &tally{First: e.pos}
			d.Groups[string(e.group)] = t
		}
		t.Count++
		t.Last, t.Tail = e.pos, append(t.Tail[:0], e.data[:min(len(e.data), TailBytes)]...)
	}
	return d
}

// addDropped puts d where it belongs in a list in order. Neighbours become one,
// unless the reader has been told of the first of them, behind read.
func addDropped(list []*dropped, d *dropped, read Position) []*dropped {
	i, _ := slices.BinarySearchFunc(list, d.First, func(o *dropped, p Position) int {
		if o.First < p {
			return -1
		}
		return 1
	})
	list = slices.Insert(list, i, d)
	for _, j := range []int{i, i - 1} { // with the one behind it, then with the one before
		if j < 0 || j+1 >= len(list) || list[j].Last+1 != list[j+1].First || list[j].First <= read {
			continue
		}
		a, b := list[j], list[j+1]
		a.Last = b.Last
		for g, t := range b.Groups {
			if have := a.Groups[g]; have != nil {
				have.Count += t.Count
				have.Last, have.Tail = t.Last, t.Tail
			} else {
				a.Groups[g] = t
			}
		}
		list = slices.Delete(list, j+1, j+2)
	}
	return list
}

// explain tells which entries are missing from first to last: those that were
// dropped, and the rest, of which nothing is known.
func explain(list []*dropped, first, last Position) (losses []Loss) {
	sum := make(map[string]*Loss)
	unknown := uint64(last - first + 1)
	for _, d := range list {
		if d.First < first || d.Last > last {
			continue
		}
		for g, t := range d.Groups {
			unknown -= min(unknown, t.Count)
			if l := sum[g]; l != nil {
				l.Count += t.Count
				l.Last, l.Tail = t.Last, t.Tail
			} else {
				sum[g] = &Loss{Group: g, Count: t.Count, First: t.First, Last: t.Last, Tail: t.Tail}
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(sum)) {
		losses = append(losses, *sum[g])
	}
	if unknown > 0 {
		losses = append(losses, Loss{Unknown: true, Count: unknown, First: first, Last: last})
	}
	return losses
}
